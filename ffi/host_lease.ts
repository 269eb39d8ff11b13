/**
 * Whose are the changes that were made to the host's network: a number that goes into them, and that says whether
 * whoever made them still runs.
 *
 * @module
 */

import { Errno, systemError } from "./errno.ts";
import { Libc } from "./libc.ts";

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;

/** Attempts to find a number that nobody has. */
const attempts = 16;

/** Numbers go from 1 to this: four digits to the base of 36. */
const largest = 36 ** 4 - 1;

/**
 * A number that no other running program of the same network namespace has.
 *
 * It stands for an abstract Unix socket (unix(7)), which belongs to the network namespace as the changes do, needs no
 * file, and is gone when its program is, however that ended. So, unlike a process number, it cannot be mistaken for
 * another's, nor be looked for in the wrong process namespace.
 */
export class HostLease implements Disposable {
  /** The number: 1 to 1,679,615. */
  readonly id: number;
  readonly #libc: Libc;
  #descriptor: number;

  /**
   * Takes a free number.
   *
   * @throws {Deno.errors.NotCapable} If the program was started without `--allow-ffi`.
   */
  constructor() {
    const libc = this.#libc = Libc.open();
    for (let attempt = 0; attempt < attempts; attempt++) {
      const id = 1 + crypto.getRandomValues(new Uint32Array(1))[0]! % largest;
      const descriptor = bind(libc, id);
      if (descriptor === null) continue;
      this.id = id;
      this.#descriptor = descriptor;
      return;
    }
    libc.close();
    throw new Error(`Cannot find a free number for changes of the host: ${attempts} were taken`);
  }

  /** Whether the program that has this number still runs in this network namespace. */
  static isHeld(id: number): boolean {
    using libc = Libc.open();
    const descriptor = bind(libc, id);
    if (descriptor === null) return true;
    libc.calls.close(descriptor);
    return false;
  }

  /** The number as it stands in names: four digits to the base of 36. */
  static format(id: number): string {
    return id.toString(36).padStart(4, "0");
  }

  /** The number that {@linkcode HostLease.format} has written, or null for any other text. */
  static parse(text: string): number | null {
    return /^[0-9a-z]{4}$/.test(text) ? parseInt(text, 36) : null;
  }

  /** Gives the number back. Does nothing the second time. */
  close(): void {
    if (this.#descriptor < 0) return;
    this.#libc.calls.close(this.#descriptor);
    this.#libc.close();
    this.#descriptor = -1;
  }

  /** As {@linkcode HostLease.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/** A socket with the name that stands for a number, or null where somebody has it. */
function bind(libc: Libc, id: number): number | null {
  const { calls } = libc;
  const action = "take a number for changes of the host";
  const descriptor = calls.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) throw systemError("socket(AF_UNIX)", libc.errno, { action });
  // struct sockaddr_un: the family, then a name that a zero byte marks as abstract.
  const address = new Uint8Array([AF_UNIX, 0, 0, ...new TextEncoder().encode(`tapstack-${HostLease.format(id)}`)]);
  if (calls.bind(descriptor, address, address.length) === 0) return descriptor;
  const { errno } = libc;
  calls.close(descriptor);
  if (errno === Errno.EADDRINUSE) return null;
  throw systemError("bind(AF_UNIX)", errno, { action });
}
