/**
 * What stands behind a descriptor. Calls never wait: one that cannot be served yet is {@linkcode blocked}.
 *
 * @module
 */

import type { blocked, Errno, Outcome } from "./errno.ts";
import { ScriptSkipped } from "./failure.ts";
import type { SocketAddress } from "./values.ts";

/** A value that an option is set to, or has. */
export interface OptionValue {
  /** The first number of it. */
  readonly number: number;
  /** The number that follows, as in `{onoff, linger}`; 0 if there is none. */
  readonly second: number;
  /** The text, for options that are texts. */
  readonly text: string | null;
}

/** The events that `poll` and `epoll` tell of. */
export const PollEvent = { in: 1, out: 4, error: 8, hangUp: 16, peerClosed: 0x2000 } as const;

/** Whatever a descriptor stands for. A kind that cannot serve a call inherits the answer to it. */
export abstract class Descriptor {
  /** Whether calls return at once instead of waiting. */
  nonBlocking: boolean = false;
  /** Whether it is so because its listener is, which not all systems do. */
  inheritsNonBlocking: boolean = false;

  /** Gives it an address of its own. */
  bind(_address: SocketAddress): Outcome {
    return "ENOTSOCK";
  }
  /** Listens for connections. */
  listen(_backlog: number): Outcome {
    return "EOPNOTSUPP";
  }
  /** Takes a connection that waits: what stands for it, or {@linkcode blocked}. */
  accept(): Descriptor | Errno | typeof blocked {
    return "EINVAL";
  }
  /** Connects; called again until it has come to something. */
  connect(_address: SocketAddress): Outcome {
    return "ENOTSOCK";
  }
  /** Receives at most `length` bytes. */
  receive(_length: number, _flags: number): Outcome {
    return "EINVAL";
  }
  /** Sends bytes: `literal`, or `length` of the pattern. Says how many it has taken. */
  send(_length: number, _literal: Uint8Array | null, _to: SocketAddress | null, _flags: number): Outcome {
    return "EINVAL";
  }
  /** Ends one direction or both. */
  shutdown(_how: number): Outcome {
    return "ENOTSOCK";
  }
  /** Gives it up; called again while it is {@linkcode blocked}. */
  close(): Outcome {
    return 0;
  }
  /** Sets an option. */
  setOption(_level: string, name: string, _value: OptionValue): Outcome {
    throw new ScriptSkipped(`the socket option ${name} is not interpreted here`);
  }
  /** The value of an option. */
  getOption(_level: string, name: string): OptionValue | Errno {
    throw new ScriptSkipped(`the socket option ${name} is not interpreted here`);
  }
  /** Bytes that can be received now. */
  get receivable(): number {
    return 0;
  }
  /** Bytes that have arrived since the beginning. */
  get arrived(): number {
    return 0;
  }
  /** Bytes that the peer has not acknowledged. */
  get unacknowledged(): number {
    return 0;
  }
  /** Bytes that have not been sent. */
  get unsent(): number {
    return 0;
  }
  /** The events that hold now. */
  get ready(): number {
    return 0;
  }
  /** Whether calls with `flags` return at once. */
  get waits(): boolean {
    return !this.nonBlocking;
  }
}

/** A file, of which nothing matters but its descriptor: what is sent from it is the pattern of all data. */
export class PlainFile extends Descriptor {}
