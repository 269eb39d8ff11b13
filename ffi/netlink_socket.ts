/**
 * A netlink socket: requests and their answers.
 *
 * @module
 */

import { Errno, systemError, type SystemErrorDetails } from "./errno.ts";
import { Libc } from "./libc.ts";
import {
  NetlinkFlag,
  type NetlinkMessage,
  type NetlinkRequest,
  NetlinkType,
  parseNetlinkError,
  parseNetlinkMessages,
} from "./netlink_message.ts";

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const MSG_TRUNC = 0x20;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const SOL_NETLINK = 270;
const NETLINK_EXT_ACK = 11;

/** The kernel fills at most 32 KiB of a datagram in a dump. */
const receiveBytes = 65536;
/** A dump that changes disturb again and again is given up after this many attempts. */
const dumpAttempts = 10;
/** The kernel answers inside send() itself; waiting longer than this, in seconds, would be waiting for ever. */
const receiveTimeout = 2;

/** A socket to one netlink protocol of the kernel. Requests are answered before the call returns. */
export class NetlinkSocket implements Disposable {
  readonly #libc: Libc = Libc.open();
  readonly #descriptor: number;
  readonly #buffer = new Uint8Array(receiveBytes);
  #sequence = 0;

  /**
   * Opens a socket to `protocol` (`NETLINK_ROUTE` is 0).
   *
   * @throws {Deno.errors.NotCapable} If the program was started without `--allow-ffi`.
   */
  constructor(protocol: number) {
    const { calls } = this.#libc;
    this.#descriptor = calls.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    if (this.#descriptor < 0) {
      const { errno } = this.#libc;
      this.#libc.close();
      throw systemError("socket(AF_NETLINK)", errno, { action: `open netlink protocol ${protocol}` });
    }
    // Both are conveniences: where the kernel refuses one, things still work.
    calls.setsockopt(this.#descriptor, SOL_SOCKET, SO_RCVTIMEO, new BigInt64Array([BigInt(receiveTimeout), 0n]), 16);
    calls.setsockopt(this.#descriptor, SOL_NETLINK, NETLINK_EXT_ACK, new Int32Array([1]), 4);
  }

  /**
   * Sends a request and returns the messages that answer it: none where the kernel only acknowledges.
   *
   * @throws {SystemError} If the kernel refuses. What `describe` returns for the errno goes into its message.
   */
  request(request: NetlinkRequest, describe: (errno: number) => SystemErrorDetails): NetlinkMessage[] {
    for (let attempt = 0; attempt < dumpAttempts; attempt++) {
      const answers = this.#exchange(request, describe);
      if (answers !== null) return answers;
    }
    throw systemError("netlink", Errno.EINTR, describe(Errno.EINTR));
  }

  /**
   * Sends requests as one datagram, which the kernel takes as a transaction where its protocol has such: all of it or
   * nothing. `begin` and `end` are not acknowledged, the requests between them are.
   *
   * @throws {SystemError} If the kernel refuses one. What `describe` returns for the errno goes into its message.
   */
  transact(
    { begin, requests, end }: { begin: NetlinkRequest; requests: readonly NetlinkRequest[]; end: NetlinkRequest },
    describe: (errno: number) => SystemErrorDetails,
  ): void {
    const first = this.#sequence + 1;
    const messages = [begin, ...requests, end].map((request) => request.finish(++this.#sequence));
    const bytes = new Uint8Array(messages.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const message of messages) {
      bytes.set(message, at);
      at += message.length;
    }
    this.#send(bytes, describe);
    for (let awaited = requests.length; awaited > 0;) {
      for (const message of this.#receive(describe)) {
        if (message.sequence < first || message.type !== NetlinkType.error) continue;
        const { errno, text } = parseNetlinkError(message);
        if (errno !== 0) throw systemError("netlink", errno, { detail: text, ...describe(errno) });
        awaited--;
      }
    }
  }

  /** One request and its answers; null when a dump was disturbed. */
  #exchange(request: NetlinkRequest, describe: (errno: number) => SystemErrorDetails): NetlinkMessage[] | null {
    const sequence = ++this.#sequence;
    this.#send(request.finish(sequence), describe);
    const answers: NetlinkMessage[] = [];
    let disturbed = false;
    for (;;) {
      for (const message of this.#receive(describe)) {
        // What is left of an earlier exchange that failed half-way.
        if (message.sequence !== sequence) continue;
        disturbed ||= (message.flags & NetlinkFlag.dumpInterrupted) !== 0;
        if (message.type === NetlinkType.error || message.type === NetlinkType.done) {
          const { errno, text } = parseNetlinkError(message);
          if (errno !== 0) throw systemError("netlink", errno, { detail: text, ...describe(errno) });
          return disturbed ? null : answers;
        }
        if (message.type !== NetlinkType.noop) answers.push(message);
      }
    }
  }

  #send(bytes: Uint8Array<ArrayBuffer>, describe: (errno: number) => SystemErrorDetails): void {
    if (this.#libc.calls.send(this.#descriptor, bytes, bytes.length, 0) >= 0) return;
    const { errno } = this.#libc;
    throw systemError("send(netlink)", errno, describe(errno));
  }

  #receive(describe: (errno: number) => SystemErrorDetails): NetlinkMessage[] {
    // With MSG_TRUNC the result is the datagram's own length, even if that is more than fits.
    const length = this.#libc.calls.recv(this.#descriptor, this.#buffer, receiveBytes, MSG_TRUNC);
    if (length < 0 || length > receiveBytes) {
      const errno = length < 0 ? this.#libc.errno : Errno.EMSGSIZE;
      throw systemError("recv(netlink)", errno, describe(errno));
    }
    // The answers outlive the buffer.
    return parseNetlinkMessages(this.#buffer.slice(0, length));
  }

  /** Closes the socket. */
  close(): void {
    this.#libc.calls.close(this.#descriptor);
    this.#libc.close();
  }

  /** The same as {@linkcode NetlinkSocket.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}
