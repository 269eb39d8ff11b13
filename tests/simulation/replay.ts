/**
 * How to see a case of the simulator again.
 *
 * @module
 */

/** The command that runs a case again with the same seed, and writes a capture of it. */
export function replayCommand(name: string, seed: number): string {
  return `deno task soak --case ${name} --seed ${seed} --pcap ${name.replaceAll(/[^\w.-]/g, "-")}-${seed}.pcapng`;
}
