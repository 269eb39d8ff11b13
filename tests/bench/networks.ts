/**
 * The two networks that everything is measured on, each in namespaces of its own: this process's stack on a TAP device
 * beside the kernel, and two kernels at the ends of a veth pair.
 *
 * @module
 */

import { openTap, Stack, type StackOptions } from "../../mod.ts";
import { run, withNamespace } from "../kernel/namespace.ts";

/** The measured end's address. */
export const ownAddress = "192.0.2.2";
/** The other end's: always the kernel, with the same programs. */
export const peerAddress = "192.0.2.1";

/** Sockets in the shape of Deno's: those of a stack, or of the kernel. */
export interface Sockets {
  /** As `Deno.listen`. */
  listen(options: { port: number; tcpBacklog?: number }): AsyncIterable<Deno.TcpConn> & Deno.Listener;
  /** As `Deno.connect`. */
  connect(options: { hostname: string; port: number }): Promise<Deno.TcpConn>;
  /** As `Deno.listenDatagram`. */
  listenDatagram(options: { transport: "udp"; hostname: string; port: number }): Deno.DatagramConn;
}

/** A network to measure on. */
export interface Network {
  /** The sockets of the measured end. */
  readonly sockets: Sockets;
  /** The stack at the measured end; null where that is the kernel. */
  readonly stack: Stack | null;
  /** A program at the other end. */
  peer(program: string, ...args: string[]): Deno.Command;
  /** A program at the measured end, where that is the kernel. */
  own(program: string, ...args: string[]): Deno.Command;
}

/** What may differ between two measurements; what both networks have never differs between them. */
export interface NetworkOptions {
  /** Whether segmentation and checksums are left to the devices. */
  readonly offload: boolean;
  /** Options of the stack. */
  readonly stack?: StackOptions;
}

/** What one command prints and whether it succeeded, as text. */
export async function outputOf(command: Deno.Command): Promise<string> {
  const { success, code, stdout, stderr } = await command.output();
  const text = new TextDecoder().decode(stdout);
  if (success) return text;
  throw new Error(`A program of the benchmark failed with ${code}: ${new TextDecoder().decode(stderr)}${text}`.trim());
}

function command(program: string, args: readonly string[]): Deno.Command {
  return new Deno.Command(program, { args: [...args], stdin: "null", stdout: "piped", stderr: "piped" });
}

/** Switches off all that a device could do for the kernel's segments. */
const noOffloads = ["tso", "off", "gso", "off", "gro", "off", "tx", "off", "rx", "off"];

/** Runs `body` with a stack on a TAP device. */
export function onTap<Result>(options: NetworkOptions, body: (network: Network) => Promise<Result>): Promise<Result> {
  return withNamespace(async () => {
    await using stack = new Stack(options.stack);
    const hostAddresses = [`${peerAddress}/24`];
    const tap = openTap({ offload: options.offload, hostAddresses, txQueueLength: 10_000 });
    stack.attach(tap, { addresses: [`${ownAddress}/24`] });
    // What cannot be changed is off already: that is no failure.
    if (!options.offload) await command("ethtool", ["-K", tap.name, ...noOffloads]).output();
    const peer = (program: string, ...args: string[]) => command(program, args);
    return await body({ sockets: stack as Sockets, stack, peer, own: peer });
  });
}

/** Runs `body` with the kernel at both ends of a veth pair. */
export function onVeth<Result>(options: NetworkOptions, body: (network: Network) => Promise<Result>): Promise<Result> {
  return withNamespace(async () => {
    // The other namespace lives as long as this process, whatever becomes of it: cat ends with its input.
    const holder = new Deno.Command("unshare", { args: ["-n", "cat"], stdin: "piped", stdout: "piped" }).spawn();
    const writer = holder.stdin.getWriter();
    const there = (program: string, ...args: string[]) =>
      command("nsenter", ["-t", String(holder.pid), "-n", program, ...args]);
    try {
      // What comes back says that unshare has become cat, in its own namespace.
      const reader = holder.stdout.getReader();
      await writer.write(new TextEncoder().encode("\n"));
      await reader.read();
      reader.releaseLock();
      await run("ip", "link", "add", "veth0", "type", "veth", "peer", "name", "veth1", "netns", String(holder.pid));
      if (!options.offload) {
        await outputOf(command("ethtool", ["-K", "veth0", ...noOffloads]));
        await outputOf(there("ethtool", "-K", "veth1", ...noOffloads));
      }
      await run("ip", "addr", "add", `${ownAddress}/24`, "dev", "veth0");
      await run("ip", "link", "set", "veth0", "up");
      await outputOf(there("ip", "addr", "add", `${peerAddress}/24`, "dev", "veth1"));
      await outputOf(there("ip", "link", "set", "veth1", "up"));
      const own = (program: string, ...args: string[]) => command(program, args);
      return await body({ sockets: kernelSockets, stack: null, peer: there, own });
    } finally {
      await writer.close();
      await holder.stdout.cancel();
      await holder.status;
    }
  });
}

const kernelSockets: Sockets = {
  listen: (options) => Deno.listen({ hostname: ownAddress, ...options }) as ReturnType<Sockets["listen"]>,
  connect: (options) => Deno.connect(options),
  listenDatagram: (options) => Deno.listenDatagram(options),
};
