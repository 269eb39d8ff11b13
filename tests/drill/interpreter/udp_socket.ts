/**
 * UDP sockets as POSIX has them, over the stack's own calls.
 *
 * @module
 */

import { IpAddress } from "../../../stack/address.ts";
import type { Endpoint } from "../../../stack/transport/endpoint.ts";
import type { UdpSocket as StackSocket } from "../../../stack/transport/udp_socket.ts";
import { Descriptor, type OptionValue, PollEvent } from "./descriptor.ts";
import { blocked, type Errno, errnoNumbers, errnoThrown, type Outcome } from "./errno.ts";
import type { Host } from "./host.ts";
import { pattern } from "./pattern.ts";
import { usualPort } from "./tcp_socket.ts";
import type { SocketAddress } from "./values.ts";

/** A UDP socket. */
export class UdpSocket extends Descriptor {
  readonly #host: Host;
  #socket: StackSocket | null = null;
  #local: Endpoint | null = null;
  readonly #sender = { address: IpAddress.unspecified4, port: 0 };

  /** A fresh socket. */
  constructor(host: Host) {
    super();
    this.#host = host;
  }

  /** As {@linkcode Descriptor.bind}. */
  override bind(address: SocketAddress): Outcome {
    if (this.#local !== null) return "EINVAL";
    const { family } = this.#host.local;
    const local = { address: address.address ?? IpAddress.unspecified(family), port: address.port ?? usualPort };
    return this.#try(() => {
      this.#socket = this.#host.stack.udp.bind({ local });
      this.#local = local;
      return 0;
    });
  }

  /** As {@linkcode Descriptor.connect}. */
  override connect(address: SocketAddress): Outcome {
    const { stack, remote } = this.#host;
    return this.#try(() => {
      this.#socket?.close();
      this.#socket = stack.udp.connect({
        remote: { address: address.address ?? remote, port: address.port ?? usualPort },
        localPort: this.#local?.port ?? 0,
      });
      return 0;
    });
  }

  /** As {@linkcode Descriptor.receive}. */
  override receive(length: number, _flags: number): Outcome {
    const socket = this.#socket;
    if (socket === null) return blocked;
    return this.#try(() => {
      const received = socket.receive(new Uint8Array(length), this.#sender);
      return received < 0 ? blocked : received;
    });
  }

  /** As {@linkcode Descriptor.send}. */
  override send(length: number, literal: Uint8Array | null, to: SocketAddress | null): Outcome {
    const { stack, local, remote } = this.#host;
    return this.#try(() => {
      this.#socket ??= stack.udp.bind({ local: { address: IpAddress.unspecified(local.family), port: 0 } });
      const bytes = literal ?? pattern(0, length);
      const destination = to === null ? null : { address: to.address ?? remote, port: to.port ?? usualPort };
      if (this.#socket.remote !== null) this.#socket.send(bytes);
      else if (destination === null) return "EDESTADDRREQ";
      else this.#socket.send(bytes, destination);
      return bytes.length;
    });
  }

  /** As {@linkcode Descriptor.close}. */
  override close(): Outcome {
    this.#socket?.close();
    return 0;
  }

  /** As {@linkcode Descriptor.setOption}. */
  override setOption(_level: string, name: string, value: OptionValue): Outcome {
    const settings = this.#socket?.settings;
    if (name === "IP_TTL" && settings !== undefined) settings.timeToLive = value.number;
    else if (name === "IP_TOS" && settings !== undefined) settings.trafficClass = value.number;
    else if (name === "SO_BROADCAST" && settings !== undefined) settings.broadcast = value.number !== 0;
    else if (name !== "SO_REUSEADDR" && name !== "SO_REUSEPORT") return super.setOption(_level, name, value);
    return 0;
  }

  /** As {@linkcode Descriptor.getOption}. */
  override getOption(level: string, name: string): OptionValue | Errno {
    if (name !== "SO_ERROR") return super.getOption(level, name);
    if (!this.#socket?.failed) return { number: 0, second: 0, text: null };
    const error = this.receive(0, 0);
    return { number: errnoNumbers[String(error)] ?? -1, second: 0, text: String(error) };
  }

  /** As {@linkcode Descriptor.receivable}. */
  override get receivable(): number {
    return Math.max(0, this.#socket?.nextLength ?? 0);
  }

  /** As {@linkcode Descriptor.ready}. */
  override get ready(): number {
    const socket = this.#socket;
    if (socket === null) return PollEvent.out;
    let events: number = PollEvent.out;
    if (socket.receivable > 0) events |= PollEvent.in;
    if (socket.failed) events |= PollEvent.error | PollEvent.in;
    return events;
  }

  #try(call: () => Outcome): Outcome {
    try {
      return call();
    } catch (error) {
      return errnoThrown(error);
    }
  }
}
