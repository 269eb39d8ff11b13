/**
 * Leases an address by DHCP and shows what came with it, or serves leases.
 *
 * @module
 */

import type { Logger } from "../mod.ts";
import {
  type Binding,
  type DhcpLease,
  DhcpServer,
  obtainLease,
  type ObtainLeaseOptions,
} from "../stack/application/dhcp.ts";
import { errorLine, ExitCode, type Program, runProgram, toggle, UsageError, type Values } from "./cli.ts";
import { deviceOptions, openLink } from "./device.ts";
import { identityFor } from "./dhcp/address.ts";
import { LeaseFile } from "./dhcp/lease_file.ts";
import { bindingLine, leaseJson, leaseLines } from "./dhcp/report.ts";
import { freeRange, serveOptions } from "./dhcp/serve_options.ts";
import { quietLogLevel, startLogging } from "./logging.ts";
import { type InterfaceSession, type LinkSession, withInterface, withStack } from "./session.ts";
import { duration, hostAddress } from "./values.ts";

const options = {
  once: toggle("client: end when there is a lease, and give it back"),
  keep: toggle("client: do not give the address back in the end"),
  json: toggle("One JSON object for each lease and change"),
  "host-name": {
    placeholder: "NAME",
    help: "client: name to tell the server (default: none)",
    fallback: null,
    parse: String,
  },
  request: {
    placeholder: "ADDRESS",
    help: "client: ask for this address, which was leased before (default: any)",
    fallback: null,
    parse: (text: string) => hostAddress(text).toString(),
  },
  timeout: {
    letter: "w",
    placeholder: "TIME",
    help: "client: how long to wait for the first lease (default: for ever)",
    fallback: Infinity,
    parse: duration(1),
  },
  "no-probe": toggle("Do not look for other users of an address: saves a client seconds, and a server half a second"),
  ...serveOptions,
  ...deviceOptions,
  "log-level": quietLogLevel,
};

type DhcpValues = Values<typeof options>;

const program: Program<typeof options> = {
  name: "dhcp",
  summary: "Leases an address by DHCP and shows what the server says, or leases addresses to the clients of a link.",
  operand: { placeholder: "client | serve", help: "What to do", required: true, repeatable: true },
  options,
  examples: [
    ["client --tap tap0 --once", "show what the DHCP server on that link offers, and give it back"],
    ["client --interface eth0 --json", "keep a lease on the host's link, and print every change as JSON"],
    ["serve --router 192.0.2.1 --dns 192.0.2.1", "lease the other addresses of 192.0.2.0/24 to who is on the device"],
    [
      "serve --range 192.0.2.100-192.0.2.199 --reserve 02:00:00:00:00:01=192.0.2.7 --leases leases.json",
      "lease these, one to a certain client, and remember them",
    ],
  ],
};

function print(values: DhcpValues, json: Record<string, unknown>, lines: readonly string[]): void {
  console.log(values.json ? JSON.stringify(json) : lines.join("\n"));
}

async function runClient(session: InterfaceSession, values: DhcpValues, logger: Logger): Promise<number> {
  const { stack, nic, signal, interruption } = session;
  let present: DhcpLease | null = null;
  const onChange: ObtainLeaseOptions["onChange"] = (state, lease) => {
    // What is renewed is a lease of its own, with a time of its own.
    if (state === "bound") {
      const isNew = present === null || !present.address.address.equals(lease!.address.address);
      const heading = isNew ? `Leased on ${nic.name}:` : `Renewed:`;
      print(values, { event: isNew ? "leased" : "renewed", ...leaseJson(lease!) }, [heading, ...leaseLines(lease!)]);
    } else if (lease === null && present !== null) {
      const address = present.address.toString();
      print(values, { event: "lost", address, state }, [`Gave up ${address}`]);
    } else {
      logger.debug(`${nic.name}: ${state}`);
    }
    present = lease;
  };
  const { "host-name": hostName, request: previousAddress, timeout } = values;
  if (!values.json) console.error(`Leasing an address for ${nic.name} by DHCP, Ctrl-C ends.`);
  const client = await obtainLease(stack, nic, {
    ...identityFor(nic, values),
    ...(hostName === null ? {} : { hostName }),
    ...(previousAddress === null ? {} : { previousAddress }),
    probe: !values["no-probe"],
    timeout,
    signal,
    logger,
    onChange,
  });
  if (!values.once) await interruption.wait();
  if (values.keep) client.stop();
  else await client.release();
  return ExitCode.success;
}

async function client(values: DhcpValues, logger: Logger): Promise<number> {
  if (values.address !== null) throw new UsageError("Cannot use --address with dhcp client: the server says which");
  const leasing = { ...values, address: "dhcp" as const };
  return await withInterface(openLink(leasing, logger), leasing, logger, async (session) => {
    try {
      return await runClient(session, values, logger);
    } catch (error) {
      if (!session.signal.aborted) throw error;
      return session.interruption.exitCode ?? ExitCode.failure;
    }
  });
}

function startServer({ stack, nic, link }: LinkSession, values: DhcpValues, logger: Logger): DhcpServer {
  const { router: routers, dns: nameServers, reserve, domain, route: routes, "client-mtu": mtu } = values;
  const { address, host } = link;
  // Who has its address already must not lose it: the stack, the host's end, and whom clients are told of.
  const taken = [address.address, ...(host === null ? [] : [host.address]), ...routers, ...nameServers];
  const range = values.range ?? freeRange(address, [...taken, ...reserve.map(({ address }) => address)]);
  if (range === null) throw new UsageError(`Cannot lease addresses of ${address}: none is free`);
  const file = values.leases === null ? null : new LeaseFile(values.leases, stack.timers.clock.now());
  const leases = file?.read() ?? [];
  // A file that cannot be written is known before the first lease is granted.
  file?.write(leases);
  const onChange = (binding: Readonly<Binding>) => {
    report(binding, stack.timers.clock.now(), values);
    try {
      file?.write(server.leases);
    } catch (error) {
      // The lease has been granted all the same.
      logger.error(errorLine(error));
    }
  };
  const server: DhcpServer = new DhcpServer(stack, nic, {
    range,
    routers,
    nameServers,
    routes,
    leases,
    leaseTime: values.lease,
    reservations: reserve,
    probe: !values["no-probe"],
    ...(domain === null ? {} : { domainName: domain }),
    ...(mtu === null ? {} : { mtu }),
    logger,
    onChange,
  });
  console.error(`Leasing ${range[0]} to ${range[1]} on ${nic.name} as ${address.address}, Ctrl-C ends.`);
  return server;
}

function report(binding: Readonly<Binding>, now: number, values: DhcpValues): void {
  const { address, mac, hostName, state, expiresAt } = binding;
  const seconds = state === "leased" && expiresAt !== Infinity ? Math.round((expiresAt - now) / 1000) : null;
  const json = { event: state, address: address.toString(), mac: mac.toString(), hostName, seconds };
  print(values, json, [bindingLine(binding, now)]);
}

async function serve(session: LinkSession, values: DhcpValues, logger: Logger): Promise<number> {
  let server: DhcpServer;
  try {
    server = startServer(session, values, logger);
  } catch (error) {
    // What does not fit the link's subnet is known only here.
    throw error instanceof RangeError ? new UsageError(errorLine(error)) : error;
  }
  using _server = server;
  await session.interruption.wait();
  return ExitCode.success;
}

async function dhcp(values: DhcpValues, [command, ...rest]: readonly string[]): Promise<number> {
  if (rest.length > 0) throw new UsageError(`Unexpected argument "${rest[0]}"`);
  const logger = startLogging(values["log-level"]);
  if (command === "client") return await client(values, logger);
  if (command !== "serve") {
    throw new UsageError(
      command === undefined ? "Missing argument: give client or serve" : `Unknown command "${command}"`,
    );
  }
  if (values.address === "dhcp") throw new UsageError("Cannot serve with --address dhcp: give the server an address");
  return await withStack(values, logger, (session) => serve(session, values, logger));
}

if (import.meta.main) await runProgram(program, ({ values, operands }) => dhcp(values, operands));
