/**
 * System calls: from what a script writes to what the descriptors are asked, and back.
 *
 * @module
 */

import type { CallAction, Expression } from "./ast.ts";
import { checkTcpInfo, isNull, isOpen, literalOf, optionValueOf, totalOf } from "./call_arguments.ts";
import { constants, optionNames } from "./constants.ts";
import { type Descriptor, PlainFile } from "./descriptor.ts";
import { Epoll } from "./epoll.ts";
import { blocked, type Errno, type Outcome } from "./errno.ts";
import { ScriptFailure, ScriptSkipped } from "./failure.ts";
import type { Host } from "./host.ts";
import type { Relaxation } from "./match.ts";
import { TcpSocket } from "./tcp_socket.ts";
import { UdpSocket } from "./udp_socket.ts";
import { type Define, fieldOf, isNamed, namesIn, numberOf, socketAddressOf } from "./values.ts";

/** A call under way: asked again until it is not {@linkcode blocked}. */
export type Attempt = () => Outcome;

/** What the calls are wired to. */
export interface CallsOptions {
  /** The stack under test. */
  readonly host: Host;
  /** Looks up the script's definitions. */
  readonly define: Define;
  /** What is left out of comparisons. */
  readonly ignore: ReadonlySet<Relaxation>;
  /** A socket listens now: packets from new peers are for it. */
  readonly onListen: (port: number) => void;
  /** A socket connects now: packets are for it. */
  readonly onConnect: (localPort: number, remotePort: number) => void;
}

type Handler = (call: CallAction) => Attempt;

/** `O_RDWR | O_NONBLOCK` on FreeBSD, for scripts that write the number. */
const freeBsdNonBlocking = 6;

/** The descriptors of a script, and the calls on them. */
export class Calls {
  readonly #options: CallsOptions;
  readonly #descriptors = new Map<number, Descriptor>();
  readonly #handlers: Readonly<Record<string, Handler>>;

  /** No descriptor is open. */
  constructor(options: CallsOptions) {
    this.#options = options;
    this.#handlers = this.#makeHandlers();
  }

  /**
   * Begins a call.
   *
   * @throws {ScriptSkipped} If it is not interpreted.
   */
  begin(call: CallAction): Attempt {
    const handler = Object.hasOwn(this.#handlers, call.name) ? this.#handlers[call.name] : undefined;
    if (handler === undefined) throw new ScriptSkipped(`the call \`${call.name}\` is not interpreted`);
    return handler(call);
  }

  #makeHandlers(): Record<string, Handler> {
    const flags = (call: CallAction, at: number) => this.#number(call, at, 0);
    const receive = (flagsAt: number | null): Handler => (call) =>
      this.#receive(call, this.#number(call, 2), flagsAt === null ? 0 : flags(call, flagsAt));
    const send = (flagsAt: number | null, toAt: number | null): Handler => (call) =>
      this.#sendFrom(
        call,
        flagsAt === null ? 0 : flags(call, flagsAt),
        toAt === null ? undefined : call.arguments[toAt],
      );
    return {
      socket: (call) => () => this.#open(call, this.#makeSocket(call)),
      bind: (call) => this.#on(call, (socket) => socket.bind(this.#address(call, 1))),
      listen: (call) => this.#on(call, (socket) => this.#listen(socket, this.#number(call, 1, 1))),
      accept: (call) => () => this.#accept(call, 0),
      accept4: (call) => () => this.#accept(call, this.#number(call, 3, 0)),
      connect: (call) => this.#on(call, (socket) => this.#connect(socket, call)),
      read: receive(null),
      recv: receive(3),
      recvfrom: receive(3),
      readv: (call) => this.#receive(call, totalOf(call.arguments[1], this.#options.define), 0),
      recvmsg: (call) => this.#receive(call, this.#messageLength(call), flags(call, 2)),
      write: send(null, null),
      send: send(3, null),
      sendto: send(3, 4),
      writev: (call) => this.#sendVector(call, call.arguments[1], 0),
      sendmsg: (call) => this.#sendVector(call, fieldOf(call.arguments[1], ["msg_iov"], 1), this.#number(call, 2, 0)),
      sendfile: (call) => this.#send(call, [], this.#number(call, 3), 0, undefined),
      open: (call) => () => this.#open(call, new PlainFile()),
      shutdown: (call) => this.#on(call, (socket) => socket.shutdown(this.#number(call, 1))),
      close: (call) => this.#close(call),
      setsockopt: (call) => this.#on(call, (socket) => this.#setOption(socket, call)),
      getsockopt: (call) => this.#on(call, (socket) => this.#getOption(socket, call)),
      fcntl: (call) => this.#on(call, (socket) => this.#control(socket, call)),
      ioctl: (call) => this.#on(call, (socket) => this.#ioctl(socket, call)),
      poll: (call) => this.#poll(call),
      epoll_create: (call) => () => this.#open(call, new Epoll()),
      epoll_create1: (call) => () => this.#open(call, new Epoll()),
      epoll_ctl: (call) => this.#on(call, (epoll) => this.#epollControl(epoll, call)),
      epoll_wait: (call) => this.#epollWait(call),
    };
  }

  #number(call: CallAction, at: number, fallback?: number): number {
    return numberOf(call.arguments[at], this.#options.define, fallback);
  }

  #address(call: CallAction, at: number) {
    return socketAddressOf(call.arguments[at], this.#options.define);
  }

  /** The call on the descriptor that its first argument names, for as often as it is asked. */
  #on(call: CallAction, serve: (descriptor: Descriptor) => Outcome): Attempt {
    const descriptor = this.#descriptors.get(this.#number(call, 0));
    return descriptor === undefined ? () => "EBADF" : () => serve(descriptor);
  }

  /** A blocked call on a socket that never waits, or with a flag that says so, is an error. */
  #wait(descriptor: Descriptor, flags: number, call: CallAction, outcome: Outcome): Outcome {
    if (outcome !== blocked) return outcome;
    const immediate = descriptor.nonBlocking || (flags & constants.MSG_DONTWAIT!) !== 0 ||
      (descriptor.inheritsNonBlocking && call.result.errno === "EAGAIN");
    return immediate ? "EAGAIN" : blocked;
  }

  /** Gives a new descriptor the number that the script expects, or the lowest free one. */
  #open(call: CallAction, descriptor: Descriptor | Errno): Outcome {
    if (typeof descriptor === "string") return descriptor;
    let number = call.result.from === null ? 3 : numberOf(call.result.from, this.#options.define, 3);
    if (call.result.from === null) { while (this.#descriptors.has(number)) number++; }
    if (number < 0) return 0;
    // A script may use a number again without closing what it stood for, which lives on.
    this.#descriptors.set(number, descriptor);
    return number;
  }

  #makeSocket(call: CallAction): Descriptor {
    const { host } = this.#options;
    const type = this.#number(call, 1);
    const kind = type & 15;
    if (kind !== constants.SOCK_STREAM && kind !== constants.SOCK_DGRAM) {
      throw new ScriptSkipped("only sockets of the types SOCK_STREAM and SOCK_DGRAM are interpreted");
    }
    const socket = kind === constants.SOCK_STREAM ? new TcpSocket(host) : new UdpSocket(host);
    socket.nonBlocking = (type & constants.SOCK_NONBLOCK!) !== 0;
    return socket;
  }

  #listen(socket: Descriptor, backlog: number): Outcome {
    const outcome = socket.listen(backlog);
    if (outcome === 0 && socket instanceof TcpSocket) this.#options.onListen(socket.listeningPort!);
    return outcome;
  }

  #accept(call: CallAction, flags: number): Outcome {
    const listener = this.#descriptors.get(this.#number(call, 0));
    if (listener === undefined) return "EBADF";
    const accepted = listener.accept();
    if (accepted === blocked) return this.#wait(listener, 0, call, blocked);
    if (typeof accepted === "string") return accepted;
    accepted.nonBlocking = (flags & constants.SOCK_NONBLOCK!) !== 0;
    accepted.inheritsNonBlocking = listener.nonBlocking;
    return this.#open(call, accepted);
  }

  #connect(socket: Descriptor, call: CallAction): Outcome {
    return this.#connecting(socket, () => socket.connect(this.#address(call, 1)));
  }

  /** Does what may open a connection: packets belong to it then. */
  #connecting(socket: Descriptor, attempt: () => Outcome): Outcome {
    const isNew = socket instanceof TcpSocket && socket.connection === null;
    const outcome = attempt();
    if (isNew && socket.connection !== null) {
      const { local, remote } = socket.connection;
      this.#options.onConnect(local.port, remote.port);
    }
    return outcome;
  }

  #receive(call: CallAction, length: number, flags: number): Attempt {
    if ((flags & (constants.MSG_OOB! | constants.MSG_ERRQUEUE!)) !== 0) {
      throw new ScriptSkipped("the stack has nothing for MSG_OOB and MSG_ERRQUEUE");
    }
    if (length > 0 && isNamed(call.arguments[1], "NULL")) return () => "EFAULT";
    return this.#on(call, (socket) => this.#wait(socket, flags, call, socket.receive(length, flags)));
  }

  #messageLength(call: CallAction): number {
    return totalOf(fieldOf(call.arguments[1], ["msg_iov"], 1), this.#options.define);
  }

  #sendVector(call: CallAction, vector: Expression | undefined, flags: number): Attempt {
    const parts = vector?.kind === "list" ? vector.items.map((item) => fieldOf(item, ["iov_base"], 0)) : [];
    const name = fieldOf(call.arguments[1], ["msg_name"], -1);
    return this.#send(call, parts, totalOf(vector, this.#options.define), flags, name);
  }

  /** Sends one buffer. */
  #sendFrom(call: CallAction, flags: number, address: Expression | undefined): Attempt {
    const buffer = call.arguments[1];
    const length = this.#number(call, 2);
    if (length > 0 && isNamed(buffer, "NULL")) return () => "EFAULT";
    return this.#send(call, [buffer], length, flags, address);
  }

  /** Sends all that is given unless the socket never waits: then as much as fits. */
  #send(
    call: CallAction,
    parts: readonly (Expression | undefined)[],
    length: number,
    flags: number,
    address: Expression | undefined,
  ): Attempt {
    if ((flags & (constants.MSG_OOB! | constants.MSG_EOR!)) !== 0) {
      throw new ScriptSkipped("the stack has nothing for MSG_OOB and MSG_EOR");
    }
    const literal = literalOf(parts, length);
    const { define } = this.#options;
    const isThere = address !== undefined && (isNamed(address, "AF_UNSPEC") || !isNull(address, define));
    const to = isThere ? socketAddressOf(address, define) : null;
    let sent = 0;
    return this.#on(call, (socket) => {
      const rest = literal?.subarray(sent) ?? null;
      const outcome = this.#connecting(socket, () => socket.send(length - sent, rest, to, flags));
      if (typeof outcome === "string") return sent > 0 ? sent : outcome;
      if (outcome !== blocked) sent += outcome;
      if (sent >= length) return sent;
      const waited = this.#wait(socket, flags, call, blocked);
      return waited === "EAGAIN" && sent > 0 ? sent : waited;
    });
  }

  #close(call: CallAction): Attempt {
    const number = this.#number(call, 0);
    const descriptor = this.#descriptors.get(number);
    this.#descriptors.delete(number);
    return descriptor === undefined ? () => "EBADF" : () => descriptor.close();
  }

  #optionName(call: CallAction): [level: string, name: string] {
    const level = namesIn(call.arguments[1])[0] ?? "SOL_SOCKET";
    const option = call.arguments[2];
    if (option?.kind === "name") return [level, option.name];
    const table = { IPPROTO_TCP: "SOL_TCP", IPPROTO_IP: "SOL_IP" }[level] ?? level;
    const number = numberOf(option, this.#options.define);
    return [level, optionNames[table]?.[number] ?? `${table} ${number}`];
  }

  #setOption(socket: Descriptor, call: CallAction): Outcome {
    const [level, name] = this.#optionName(call);
    return socket.setOption(level, name, optionValueOf(call.arguments[3], this.#options.define));
  }

  #getOption(socket: Descriptor, call: CallAction): Outcome {
    const [level, name] = this.#optionName(call);
    const wanted = call.arguments[3];
    if (name === "TCP_INFO" && socket instanceof TcpSocket) {
      if (!this.#options.ignore.has("tcp_info")) checkTcpInfo(socket, wanted, this.#options.define);
      return 0;
    }
    const value = socket.getOption(level, name);
    if (typeof value === "string") return value;
    if (wanted === undefined || isOpen(wanted) || this.#options.ignore.has("sockopt-values")) return 0;
    const expected = optionValueOf(wanted, this.#options.define);
    const same = expected.text !== null && value.text !== null
      ? expected.text === value.text
      : expected.number === value.number && (name !== "SO_LINGER" || expected.second === value.second);
    if (!same) {
      throw new ScriptFailure(
        `expected ${name} ${expected.text ?? expected.number}, it is ${value.text ?? value.number}`,
      );
    }
    return 0;
  }

  #control(descriptor: Descriptor, call: CallAction): Outcome {
    const command = this.#number(call, 1);
    if (command === constants.F_GETFL) {
      if (!descriptor.nonBlocking) return constants.O_RDWR!;
      const expected = call.result.from === null ? 0 : numberOf(call.result.from, this.#options.define, 0);
      return constants.O_RDWR! | (expected === freeBsdNonBlocking ? 4 : constants.O_NONBLOCK!);
    }
    if (command === constants.F_SETFL) {
      descriptor.nonBlocking = (this.#number(call, 2) & constants.O_NONBLOCK!) !== 0;
      descriptor.inheritsNonBlocking = false;
    }
    return 0;
  }

  #ioctl(socket: Descriptor, call: CallAction): Outcome {
    const request = call.arguments[1];
    const name = request?.kind === "name" ? request.name : "";
    if (name === "FIONBIO") {
      socket.nonBlocking = this.#number(call, 2) !== 0;
      return 0;
    }
    const value = name === "SIOCINQ" || name === "FIONREAD"
      ? socket.receivable
      : name === "SIOCOUTQ" || name === "TIOCOUTQ" || name === "FIONWRITE"
      ? socket.unacknowledged
      : name === "SIOCOUTQNSD"
      ? socket.unsent
      : null;
    if (value === null) throw new ScriptSkipped(`the request ${name} of \`ioctl\` is not interpreted`);
    const wanted = call.arguments[2];
    if (wanted !== undefined && !isOpen(wanted)) {
      const expected = numberOf(wanted, this.#options.define);
      if (expected !== value) throw new ScriptFailure(`expected ${name} to give ${expected}, it gives ${value}`);
    }
    return 0;
  }

  #poll(call: CallAction): Attempt {
    const { define, host } = this.#options;
    const list = call.arguments[0];
    const items = list?.kind === "list" ? list.items : [];
    const timeout = this.#number(call, 2);
    const deadline = timeout < 0 ? Infinity : host.now + timeout;
    const always = constants.POLLERR! | constants.POLLHUP!;
    return () => {
      const states = items.map((item) => {
        const number = numberOf(fieldOf(item, ["fd"], 0), define);
        const wanted = numberOf(fieldOf(item, ["events"], 1), define, 0);
        const ready = this.#descriptors.get(number)?.ready ?? constants.POLLNVAL!;
        return { number, item, returned: ready & (wanted | always | constants.POLLNVAL!) };
      });
      const count = states.filter(({ returned }) => returned !== 0).length;
      if (count === 0 && host.now < deadline) return blocked;
      for (const { number, item, returned } of states) {
        const field = fieldOf(item, ["revents"], 2);
        if (field === undefined || isOpen(field)) continue;
        const expected = numberOf(field, define);
        if (expected !== returned) {
          throw new ScriptFailure(`expected revents ${expected} of descriptor ${number}, they are ${returned}`);
        }
      }
      return count;
    };
  }

  #epollControl(epoll: Descriptor, call: CallAction): Outcome {
    if (!(epoll instanceof Epoll)) return "EINVAL";
    const number = this.#number(call, 2);
    const descriptor = this.#descriptors.get(number);
    if (descriptor === undefined) return "EBADF";
    const event = call.arguments[3];
    const wanted = numberOf(fieldOf(event, ["events"], 0), this.#options.define, 0);
    return epoll.control(this.#number(call, 1), number, descriptor, wanted, this.#eventData(event, number));
  }

  #eventData(event: Expression | undefined, fallback: number): number {
    return numberOf(fieldOf(event, ["fd", "ptr", "u32", "u64", "data"], 1), this.#options.define, fallback);
  }

  #epollWait(call: CallAction): Attempt {
    const { define, host } = this.#options;
    const timeout = this.#number(call, 3);
    const deadline = timeout < 0 ? Infinity : host.now + timeout;
    return this.#on(call, (epoll) => {
      if (!(epoll instanceof Epoll)) return "EINVAL";
      const ready = epoll.take(this.#number(call, 2));
      if (ready.length === 0) return host.now < deadline ? blocked : 0;
      const wanted = call.arguments[1];
      const events = wanted?.kind === "list" ? wanted.items : wanted?.kind === "struct" ? [wanted] : [];
      for (const [index, event] of events.entries()) {
        const field = fieldOf(event, ["events"], 0);
        if (field === undefined || isOpen(field) || ready[index] === undefined) continue;
        const expected = numberOf(field, define);
        const actual = ready[index].events;
        if (expected !== actual) throw new ScriptFailure(`expected the events ${expected}, they are ${actual}`);
      }
      return ready.length;
    });
  }
}
