/**
 * Datagrams of 64 bytes and back: a peer on the kernel keeps 32 of them on their way.
 *
 * @module
 */

import type { Benchmark, Figures } from "./benchmark.ts";
import { type Network, onTap, onVeth, outputOf, ownAddress } from "./networks.ts";

const port = 9;
const milliseconds = 1500;
const peerProgram = new URL("peer.ts", import.meta.url).pathname;

async function measure(network: Network): Promise<Figures> {
  const socket = network.sockets.listenDatagram({ transport: "udp", hostname: ownAddress, port });
  const serving = (async () => {
    const buffer = new Uint8Array(2048);
    try {
      for (;;) {
        const [bytes, from] = await socket.receive(buffer);
        await socket.send(bytes, from);
      }
    } catch {
      // The socket was closed.
    }
  })();
  const args = ["run", "--no-check", "--allow-ffi", peerProgram, "datagrams", ownAddress, `${port}`, `${milliseconds}`];
  const rate = Number(await outputOf(network.peer(Deno.execPath(), ...args)));
  socket.close();
  await serving;
  return { rate };
}

/** A UDP echo server on the stack's sockets, beside the same on the kernel's. */
export const datagramBenchmark: Benchmark = {
  name: "udp",
  programs: ["nsenter"],
  sides: {
    stack: { measure: () => onTap({ offload: true }, measure) },
    kernel: { measure: () => onVeth({ offload: true }, measure) },
  },
  rows: [{
    label: "datagrams of 64 bytes and back",
    unit: "1/s",
    value: ["stack", "rate"],
    against: ["kernel", "rate"],
    goal: { atLeast: 0.7 },
  }],
};
