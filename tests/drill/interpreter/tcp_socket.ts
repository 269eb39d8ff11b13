/**
 * TCP sockets as POSIX has them, over the stack's own calls.
 *
 * @module
 */

import type { Endpoint } from "../../../stack/transport/endpoint.ts";
import { IpAddress } from "../../../stack/address.ts";
import type { Connection } from "../../../stack/transport/tcp/connection.ts";
import { type FastOpenListenOptions, PendingFastOpens } from "../../../stack/transport/tcp/fast_open.ts";
import type { Listener } from "../../../stack/transport/tcp/listener.ts";
import { State } from "../../../stack/transport/tcp/state.ts";
import type { ConnectionSettings, Failure } from "../../../stack/transport/tcp/user.ts";
import { constants } from "./constants.ts";
import { Descriptor, type OptionValue, PollEvent } from "./descriptor.ts";
import { blocked, type Errno, errnoNumbers, errnoOf, errnoThrown, type Outcome } from "./errno.ts";
import { FastOpenBits } from "./fast_open.ts";
import { ScriptFailure, ScriptSkipped } from "./failure.ts";
import type { Host } from "./host.ts";
import { pattern } from "./pattern.ts";
import { readTcpOption, type TcpOptionState, writeTcpOption } from "./tcp_socket_options.ts";
import type { SocketAddress } from "./values.ts";

/** The port that scripts mean by `...`, on either side. */
export const usualPort = 8080;

/** A TCP socket: fresh, listening, or one connection. */
export class TcpSocket extends Descriptor implements TcpOptionState {
  readonly host: Host;
  readonly settings: Partial<ConnectionSettings>;
  linger: { on: boolean; seconds: number } = { on: false, seconds: 0 };
  fastOpenQueue: number = 0;
  fastOpenConnect: boolean = false;
  connection: Connection | null = null;
  #local: Endpoint | null = null;
  #listener: Listener | null = null;
  #error: Errno | null = null;
  /** Whether somebody has been told that the connection is established. */
  #reported = false;
  #over = false;
  #readShut = false;
  #writeShut = false;
  #received = 0;
  #lingerUntil = -1;
  /** Bytes of a call that went out with the SYN, while the call waits for the end of the handshake; -1 for none. */
  #sentInSyn = -1;
  /** Whether the latest call announced more data. */
  #moreWaits = false;
  /** Whether the call that connected waits for the end of the handshake. */
  #sendWaits = false;

  /** A fresh socket; its connection starts with `settings`. */
  constructor(host: Host, settings: Partial<ConnectionSettings> = host.profile.settings) {
    super();
    this.host = host;
    this.settings = { ...settings };
  }

  /** As {@linkcode TcpOptionState.receiveSpace}. */
  get receiveSpace(): number | null {
    const { receiveSpace, settings } = this.host.profile;
    if (receiveSpace === null || this.settings.receiveBufferBytes !== settings.receiveBufferBytes) return null;
    const isOpen = this.connection !== null && this.connection.state >= State.synReceived;
    return isOpen ? settings.initialReceiveWindow! : receiveSpace;
  }

  /** As {@linkcode Descriptor.bind}. */
  override bind(address: SocketAddress): Outcome {
    if (this.#local !== null) return "EINVAL";
    const { family } = this.host.local;
    this.#local = { address: address.address ?? IpAddress.unspecified(family), port: address.port ?? usualPort };
    return 0;
  }

  /** As {@linkcode Descriptor.listen}. */
  override listen(backlog: number): Outcome {
    if (this.connection !== null) return "EINVAL";
    if (this.#listener !== null) return 0;
    const local = this.#local ?? { address: IpAddress.unspecified(this.host.local.family), port: 0 };
    try {
      this.#listener = this.host.stack.tcp.listen({
        local,
        backlog: Math.max(1, backlog),
        settings: this.settings,
        fastOpen: this.#fastOpenListening(backlog),
      });
    } catch (error) {
      return errnoThrown(error);
    }
    return 0;
  }

  /** What its listener does about data in SYNs. */
  #fastOpenListening(backlog: number): false | FastOpenListenOptions {
    const bits = this.host.profile.fastOpen;
    const wanted = this.fastOpenQueue > 0 || (bits & FastOpenBits.allListeners) !== 0;
    if (!wanted || (bits & FastOpenBits.server) === 0) return false;
    if ((bits & FastOpenBits.serverWithoutCookie) !== 0) {
      throw new ScriptSkipped("the stack takes no data in a SYN without a cookie");
    }
    return { pending: Math.max(1, this.fastOpenQueue || backlog), experimental: true };
  }

  /** The port that it listens on, or null. */
  get listeningPort(): number | null {
    return this.#listener?.local.port ?? null;
  }

  /** As {@linkcode Descriptor.accept}. */
  override accept(): Descriptor | Errno | typeof blocked {
    if (this.#listener === null) return "EINVAL";
    const connection = this.#listener.accept();
    if (connection === null) return blocked;
    const child = new TcpSocket(this.host, this.settings);
    child.linger = { ...this.linger };
    child.#reported = true;
    child.#take(connection);
    // Options that were set after the listener began: accepted sockets inherit them too.
    connection.configure(this.settings);
    return child;
  }

  /** As {@linkcode Descriptor.connect}. */
  override connect(address: SocketAddress): Outcome {
    if (address.unspecified) return this.#disconnect();
    if (this.#listener !== null) return "EISCONN";
    if (this.connection === null) {
      const fast = this.fastOpenConnect && (this.host.profile.fastOpen & FastOpenBits.client) !== 0;
      const outcome = this.#startConnecting(address, fast);
      // The SYN waits for data; until then, this counts as connected.
      if (!this.#isDeferred()) return outcome;
      this.#reported = true;
      return 0;
    }
    if (this.#error !== null) return this.#takeError()!;
    if (this.#over) return "ECONNABORTED";
    if (this.#reported) return "EISCONN";
    if (this.connection.state < State.established) return this.nonBlocking ? "EALREADY" : blocked;
    this.#reported = true;
    return 0;
  }

  /** Gives the connection up, so that the socket can be used for another. */
  #disconnect(): Outcome {
    const { connection } = this;
    if (connection !== null) {
      connection.observer = null;
      connection.abort();
    }
    this.connection = null;
    this.#error = null;
    this.#over =
      this.#reported =
      this.#readShut =
      this.#writeShut =
        false;
    this.#received = 0;
    return 0;
  }

  #isDeferred(): boolean {
    return this.connection !== null && this.connection.deferred;
  }

  #startConnecting(address: SocketAddress, fastOpen = false): Outcome {
    const { host } = this;
    const remote = { address: address.address ?? host.remote, port: address.port ?? usualPort };
    const local = this.#local;
    try {
      const connection = host.stack.tcp.connect({
        remote,
        localAddress: local === null || local.address.isUnspecified ? null : local.address,
        localPort: local?.port ?? 0,
        settings: this.settings,
        fastOpen,
      });
      this.#take(connection);
    } catch (error) {
      return errnoThrown(error);
    }
    return this.nonBlocking ? "EINPROGRESS" : blocked;
  }

  #take(connection: Connection): void {
    this.connection = connection;
    connection.observer = {
      established: () => {},
      readable: () => {},
      writable: () => this.#releaseMore(connection),
      closed: (failure) => this.#ended(failure),
    };
    if (connection.failure !== null) this.#ended(connection.failure);
  }

  #ended(failure: Failure | null): void {
    this.#over = true;
    if (failure !== null) this.#error = errnoOf(failure.name);
  }

  /** As {@linkcode Descriptor.receive}. */
  override receive(length: number, flags: number): Outcome {
    const { connection } = this;
    if (connection === null) return "ENOTCONN";
    const { receivable } = connection;
    const complete = (flags & constants.MSG_WAITALL!) === 0 || receivable >= length || connection.ended || this.#over;
    if (receivable > 0 && length > 0 && complete) {
      if ((flags & constants.MSG_PEEK!) !== 0) return Math.min(receivable, length);
      const target = new Uint8Array(Math.min(receivable, length));
      const received = connection.receive(target);
      const expected = pattern(this.#received, received);
      const wrong = expected.findIndex((byte, index) => byte !== target[index]);
      if (wrong >= 0) {
        throw new ScriptFailure(`byte ${this.#received + wrong} of what was received is not the one sent`);
      }
      this.#received += received;
      return received;
    }
    if (this.#error !== null) return this.#takeError()!;
    if (length === 0 || connection.ended || this.#over || this.#readShut) return 0;
    return blocked;
  }

  /** As {@linkcode Descriptor.send}. */
  override send(length: number, literal: Uint8Array | null, to: SocketAddress | null, flags: number): Outcome {
    const { connection } = this;
    if (connection === null) return this.#sendAndConnect(length, literal, to, flags);
    // Behind the peer's FIN, a reset only says what writing leads to.
    if (this.#error === "ECONNRESET" && connection.receiver.finReached) this.#error = null;
    if (this.#error !== null) return this.#takeError()!;
    if (this.#over || this.#writeShut) return "EPIPE";
    if (connection.deferred) return this.#sendInSyn(connection, length, literal, flags);
    const asked = (flags & constants.MSG_FASTOPEN!) !== 0;
    if (asked && !this.#sendWaits && connection.state < State.established) return "EALREADY";
    if (connection.state < State.established && !connection.openedFast) return blocked;
    if (this.#sentInSyn >= 0) {
      const sent = this.#sentInSyn;
      this.#sentInSyn = -1;
      return sent;
    }
    const more = (flags & constants.MSG_MORE!) !== 0;
    if (more) connection.configure({ cork: true });
    const taken = this.#append(connection, length, literal);
    // What was held back for more goes with the last part.
    if (!more) this.#releaseMore(connection);
    this.#moreWaits = more;
    return taken === 0 && length > 0 ? blocked : taken;
  }

  /** What waits for more does so no longer: the last part is there, or an acknowledgement has come. */
  #releaseMore(connection: Connection): void {
    if (!this.#moreWaits) return;
    this.#moreWaits = false;
    connection.configure({ cork: this.settings.cork ?? false });
  }

  #append(connection: Connection, length: number, literal: Uint8Array | null): number {
    const written = this.host.written(connection);
    const bytes = literal?.subarray(0, length) ?? written.next(length);
    const taken = connection.send(bytes);
    written.append(bytes.subarray(0, taken));
    return taken;
  }

  /** Connects with the data in the SYN, as MSG_FASTOPEN asks for it; on FreeBSD the socket's option does. */
  #sendAndConnect(length: number, literal: Uint8Array | null, to: SocketAddress | null, flags: number): Outcome {
    const asked = (flags & constants.MSG_FASTOPEN!) !== 0;
    if (!asked && this.fastOpenQueue === 0) return "ENOTCONN";
    const bits = this.host.profile.fastOpen;
    if ((bits & FastOpenBits.client) === 0 && asked) return "EOPNOTSUPP";
    if (to === null) return asked ? "EINVAL" : "ENOTCONN";
    if (to.unspecified) return "EOPNOTSUPP";
    if ((bits & FastOpenBits.clientWithoutCookie) !== 0) {
      throw new ScriptSkipped("the stack sends no data in a SYN without a cookie");
    }
    const outcome = this.#startConnecting(to, (bits & FastOpenBits.client) !== 0);
    const { connection } = this;
    if (connection === null) return outcome;
    // FreeBSD takes all of the data at once, whether they go with the SYN or behind the handshake.
    if (!asked) return this.#append(connection, length, literal);
    if (connection.deferred) return this.#sendInSyn(connection, length, literal, flags);
    if (outcome !== blocked) return outcome;
    // The data wait in the connection, so that the handshake's last acknowledgement takes them along.
    this.#sentInSyn = this.#append(connection, length, literal);
    this.#sendWaits = true;
    return blocked;
  }

  /** As Linux does: what does not fit is not taken, or the call waits for the end of the handshake. */
  #sendInSyn(connection: Connection, length: number, literal: Uint8Array | null, flags: number): Outcome {
    const { room } = connection.fastOpen!;
    const immediate = this.nonBlocking || (flags & constants.MSG_DONTWAIT!) !== 0;
    const taken = this.#append(connection, immediate ? Math.min(length, room) : length, literal);
    connection.proceed();
    if (immediate) return length === 0 ? "EINPROGRESS" : taken;
    this.#sentInSyn = taken;
    this.#sendWaits = true;
    return blocked;
  }

  /** As {@linkcode Descriptor.shutdown}. */
  override shutdown(how: number): Outcome {
    if (this.#listener !== null && how !== constants.SHUT_WR) {
      this.#listener.close();
      this.#listener = null;
      return 0;
    }
    const { connection } = this;
    if (connection === null || this.#over || connection.state < State.synReceived) return "ENOTCONN";
    if (how !== constants.SHUT_WR) this.#readShut = true;
    if (how !== constants.SHUT_RD) {
      this.#writeShut = true;
      connection.shutdown();
    }
    return 0;
  }

  /** As {@linkcode Descriptor.close}. */
  override close(): Outcome {
    this.#listener?.close();
    const { connection, linger } = this;
    if (connection === null) return 0;
    if (linger.on && linger.seconds === 0) {
      connection.abort();
      return 0;
    }
    connection.close();
    if (!linger.on || this.#over || connection.state >= State.finWait2) return 0;
    if (this.#lingerUntil < 0) this.#lingerUntil = this.host.now + 1000 * linger.seconds;
    return this.host.now >= this.#lingerUntil ? 0 : blocked;
  }

  /** As {@linkcode Descriptor.setOption}. */
  override setOption(level: string, name: string, value: OptionValue): Outcome {
    const outcome = writeTcpOption(this, level, name, value);
    if (this.#listener === null) return outcome;
    this.#listener.settings = { ...this.#listener.settings, ...this.settings };
    if (name === "TCP_FASTOPEN") {
      const listening = this.#fastOpenListening(value.number);
      this.#listener.fastOpen = listening === false ? null : new PendingFastOpens(this.host.time.clock, listening);
    }
    return outcome;
  }

  /** As {@linkcode Descriptor.getOption}. */
  override getOption(level: string, name: string): OptionValue | Errno {
    if (name === "SO_ERROR") {
      const error = this.#takeError();
      return { number: error === null ? 0 : errnoNumbers[error] ?? -1, second: 0, text: error };
    }
    return readTcpOption(this, level, name);
  }

  /** As {@linkcode Descriptor.receivable}. */
  override get receivable(): number {
    return this.connection?.receivable ?? 0;
  }

  /** As {@linkcode Descriptor.arrived}. */
  override get arrived(): number {
    return this.connection?.receiver.bytesReceived ?? 0;
  }

  /** As {@linkcode Descriptor.unacknowledged}. */
  override get unacknowledged(): number {
    return this.connection?.unacknowledged ?? 0;
  }

  /** As {@linkcode Descriptor.unsent}. */
  override get unsent(): number {
    return this.connection?.sender.unsent ?? 0;
  }

  /** As {@linkcode Descriptor.ready}. */
  override get ready(): number {
    if (this.#listener !== null) return this.#listener.acceptable > 0 ? PollEvent.in : 0;
    const { connection } = this;
    if (connection === null) return PollEvent.out | PollEvent.hangUp;
    if (connection.deferred) return PollEvent.out;
    let events = 0;
    const { state } = connection;
    const ended = connection.ended || this.#over;
    const peerClosed = ended || state >= State.closeWait;
    if (connection.receivable > 0 || peerClosed || this.#readShut) events |= PollEvent.in;
    if (peerClosed || this.#readShut) events |= PollEvent.peerClosed;
    const open = state >= State.established || connection.openedFast;
    if (this.#over || (open && connection.unacknowledged < connection.settings.sendBufferBytes)) {
      events |= PollEvent.out;
    }
    if (this.#error !== null) events |= PollEvent.error;
    if (this.#over || (peerClosed && this.#writeShut)) events |= PollEvent.hangUp;
    return events;
  }

  #takeError(): Errno | null {
    const error = this.#error;
    this.#error = null;
    return error;
  }
}
