/**
 * Sends standard input as UDP datagrams and prints the answers.
 *
 * @module
 */

import { type DatagramConn, IpAddress, type Logger } from "../mod.ts";
import { errorLine, ExitCode, InvalidValue, type Program, runProgram, toggle, UsageError, type Values } from "./cli.ts";
import { sourcePort } from "./common_options.ts";
import { datagramsOf } from "./datagrams/lines.ts";
import { aborted, datagramLine, datagramOptions, Idle } from "./datagrams/udp_options.ts";
import { startLogging } from "./logging.ts";
import { type LinkSession, withStack } from "./session.ts";
import { Input } from "./transfer/input.ts";
import { Output } from "./transfer/output.ts";
import { portFrom } from "./transfer/tcp_options.ts";
import { hostAddress } from "./values.ts";

const options = {
  broadcast: toggle("Allow HOST to be a broadcast address: whoever answers is printed", "b"),
  "source-port": sourcePort,
  ...datagramOptions,
};

const program: Program<typeof options> = {
  name: "udpclient",
  summary: "Sends standard input from the stack as UDP datagrams, one for each line, and prints the answers.",
  operand: { placeholder: "HOST PORT", help: "An IPv4 address and a port", required: true, repeatable: true },
  options,
  examples: [
    ["192.0.2.1 9000", "type lines to the host's port 9000; Ctrl-C ends"],
    ["192.0.2.1 9000 -w 1 < questions", "send a file line by line, and end a second after the last answer"],
    ["192.0.2.1 9000 -l 1400 -w 1 < file", "send a file in blocks of 1400 bytes"],
    ["255.255.255.255 9000 -b -w 1", "ask everybody on the link"],
  ],
};

type ClientValues = Values<typeof options>;

function targetFrom(operands: readonly string[]): Deno.NetAddr {
  const [host, portText, ...surplus] = operands;
  if (host === undefined) throw new UsageError("Give a host and a port");
  if (surplus.length > 0) throw new UsageError(`Unexpected argument "${surplus[0]}"`);
  try {
    return { transport: "udp", hostname: hostAddress(host).toString(), port: portFrom(portText) };
  } catch (error) {
    if (!(error instanceof InvalidValue)) throw error;
    throw new UsageError(`Cannot send to "${host}": ${error.message}`);
  }
}

/** A socket for one peer is told of ICMP errors; one that broadcasts hears answers from anybody. */
function openSocket({ stack, nic }: LinkSession, target: Deno.NetAddr, values: ClientValues): DatagramConn {
  const localPort = values["source-port"];
  const address = IpAddress.parse(target.hostname);
  const toAll = address.isBroadcast || nic.isSubnetBroadcast(address.words[0]!);
  if (toAll && !values.broadcast) {
    throw new UsageError(
      `Cannot send to ${target.hostname}: it is a broadcast address, give --broadcast if you mean all`,
    );
  }
  const toMany = toAll || address.isMulticast;
  if (!toMany) return stack.connectDatagram({ hostname: target.hostname, port: target.port, localPort });
  return stack.listenDatagram({ port: localPort, broadcast: values.broadcast });
}

async function run(session: LinkSession, target: Deno.NetAddr, values: ClientValues, input: Input): Promise<number> {
  const { signal, interruption } = session;
  using output = Output.open(null);
  using idle = new Idle(values.wait);
  using socket = openSocket(session, target, values);
  const to = socket.remoteAddr === null ? target : undefined;
  let failures = 0;
  // RFC 1122 section 4.1.3.3: what ICMP says of a datagram is told to the application; UDP goes on.
  const tell = (error: unknown) => {
    if (idle.signal.aborted || signal.aborted || !isIcmpError(error)) throw error;
    failures++;
    console.error(`${program.name}: ${errorLine(error)}`);
  };
  const sendAll = async () => {
    for await (const datagram of datagramsOf(input, values.length)) {
      await socket.send(datagram, to).catch(tell);
      idle.happened();
    }
  };
  const receiveAll = async (): Promise<never> => {
    for (;;) {
      const received = await socket.receive().catch(tell);
      idle.happened();
      if (received === undefined) continue;
      const [data, from] = received;
      await output.write(values.json ? new TextEncoder().encode(datagramLine(data, from)) : data);
    }
  };
  const receiving = receiveAll();
  const sending = sendAll();
  // Whatever comes after the end is of no interest.
  for (const work of [receiving, sending]) work.catch(() => {});
  const ended = Promise.race([aborted(idle.signal), interruption.wait()]);
  await Promise.race([ended, receiving, sending.then(() => ended)]);
  return interruption.exitCode ?? (failures === 0 ? ExitCode.success : ExitCode.failure);
}

/** Whether an error says that a datagram did not arrive. */
function isIcmpError(error: unknown): boolean {
  const { errors } = Deno;
  const kinds = [errors.ConnectionRefused, errors.NetworkUnreachable, errors.TimedOut] as const;
  return kinds.some((kind) => error instanceof kind) || (error as Error)?.name === "HostUnreachable";
}

async function udpclient(values: ClientValues, operands: readonly string[]): Promise<number> {
  const target = targetFrom(operands);
  using input = Input.open(null);
  const logger: Logger = startLogging(values["log-level"]);
  return await withStack(values, logger, (session) => run(session, target, values, input));
}

if (import.meta.main) await runProgram(program, ({ values, operands }) => udpclient(values, operands));
