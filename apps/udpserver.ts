/**
 * Receives UDP datagrams, prints them, and answers them with an echo or from standard input.
 *
 * @module
 */

import type { DatagramConn, Logger } from "../mod.ts";
import { errorLine, ExitCode, type Program, runProgram, toggle, type Values } from "./cli.ts";
import { datagramsOf } from "./datagrams/lines.ts";
import { aborted, datagramLine, datagramOptions, Idle } from "./datagrams/udp_options.ts";
import { startLogging } from "./logging.ts";
import { type LinkSession, withStack } from "./session.ts";
import { Input } from "./transfer/input.ts";
import { Output } from "./transfer/output.ts";
import { portFrom } from "./transfer/tcp_options.ts";

const options = {
  echo: toggle("Send every datagram back to its sender, instead of standard input", "e"),
  group: {
    placeholder: "ADDRESS",
    help: "Join this multicast group",
    fallback: null as string | null,
    parse: (text: string): string | null => text,
  },
  ...datagramOptions,
};

const program: Program<typeof options> = {
  name: "udpserver",
  summary: "Prints the UDP datagrams that the stack receives; each line of standard input goes to the last sender.",
  operand: { placeholder: "PORT", help: "The port to receive on", required: true },
  options,
  examples: [
    ["9000", "talk with whoever writes to 192.0.2.2:9000, such as `nc -u 192.0.2.2 9000`"],
    ["9000 --echo", "send everything back"],
    ["9000 --json -w 10", "one JSON object for each datagram, until ten seconds are silent"],
    ["9000 --group 239.1.2.3", "receive what is sent to a group too"],
  ],
};

type ServerValues = Values<typeof options>;

/** Receives, prints and answers until something fails. */
async function serve(socket: DatagramConn, values: ServerValues, input: Input | null, idle: Idle): Promise<never> {
  using output = Output.open(null);
  const known = Promise.withResolvers<void>();
  let last: Deno.NetAddr | null = null;
  const answers = async () => {
    if (input === null) return;
    // Nobody is known before the first datagram: what was typed until then waits.
    await known.promise;
    for await (const datagram of datagramsOf(input, values.length)) {
      await answer(socket, datagram, last!);
      idle.happened();
    }
  };
  const answering = answers();
  const receiveAll = async (): Promise<never> => {
    for (;;) {
      const [data, from] = await socket.receive();
      idle.happened();
      last = from;
      known.resolve();
      await output.write(values.json ? new TextEncoder().encode(datagramLine(data, from)) : data);
      if (values.echo) await answer(socket, data, from);
    }
  };
  const receiving = receiveAll();
  receiving.catch(() => {});
  await Promise.race([receiving, answering]);
  return await receiving;
}

/** Sends an answer; that one cannot be delivered is told, and ends nothing. */
async function answer(socket: DatagramConn, datagram: Uint8Array, to: Deno.NetAddr): Promise<void> {
  try {
    await socket.send(datagram, to);
  } catch (error) {
    console.error(`${program.name}: ${errorLine(error)}`);
  }
}

async function run(session: LinkSession, port: number, values: ServerValues, input: Input | null, logger: Logger) {
  const { stack, link, interruption } = session;
  using idle = new Idle(values.wait);
  using socket = stack.listenDatagram({ port });
  if (values.group !== null) await socket.joinMulticastV4(values.group, link.address.address.toString());
  console.error(`Receiving on ${link.address.address}:${port}${values.group === null ? "" : ` and ${values.group}`}`);
  const serving = serve(socket, values, input, idle);
  serving.catch(() => {});
  await Promise.race([serving, aborted(idle.signal), interruption.wait()]);
  if (socket.dropped > 0) logger.warn(`${socket.dropped} datagrams were dropped: they came faster than they were read`);
  return interruption.exitCode ?? ExitCode.success;
}

async function udpserver(values: ServerValues, operand: string | null): Promise<number> {
  const port = portFrom(operand ?? undefined);
  using input = values.echo ? null : Input.open(null);
  const logger = startLogging(values["log-level"]);
  return await withStack(values, logger, (session) => run(session, port, values, input, logger));
}

if (import.meta.main) await runProgram(program, ({ values, operand }) => udpserver(values, operand));
