/**
 * A UDP socket in the shape of `Deno.DatagramConn`.
 *
 * @module
 */

import { IpAddress } from "../address.ts";
import { makeError } from "../errors.ts";
import type { Nic } from "../link/nic.ts";
import { type Endpoint, formatEndpoint } from "../transport/endpoint.ts";
import type { Udp } from "../transport/udp.ts";
import type { DatagramSender, UdpSettings, UdpSocket } from "../transport/udp_socket.ts";
import { Hold, type ProgramKeeper } from "./hold.ts";
import {
  checkNumber,
  checkPort,
  checkTransport,
  localEndpoint,
  parseHostname,
  remoteEndpoint,
  toNetAddr,
  type UdpConnectOptions,
  type UdpListenOptions,
  type UdpSocketOptions,
} from "./options.ts";

/** A received datagram and who sent it. */
export type Datagram = [Uint8Array<ArrayBuffer>, Deno.NetAddr];

/** A receive that waits for a datagram. */
interface PendingReceive {
  readonly target: Uint8Array | null;
  resolve(datagram: Datagram): void;
  reject(error: Error): void;
}

/** How many addresses that were sent to are remembered, so that they are not parsed for each datagram. */
const rememberedAddresses = 64;

/** A UDP socket; an async iterable of datagrams that ends when the socket is closed. */
export class DatagramConn implements Deno.DatagramConn {
  /** Our end. */
  readonly addr: Deno.NetAddr;
  /** The only peer that is sent to and received from, or null. */
  readonly remoteAddr: Deno.NetAddr | null;

  readonly #socket: UdpSocket;
  readonly #hold: Hold;
  readonly #nics: readonly Nic[];
  readonly #receives: PendingReceive[] = [];
  readonly #sender: DatagramSender = { address: IpAddress.unspecified4, port: 0 };
  readonly #addresses = new Map<string, IpAddress>();
  #serving = false;

  /** Takes over a socket; made by {@linkcode listenUdp} and {@linkcode connectUdp}. */
  constructor(socket: UdpSocket, nics: readonly Nic[], keeper: ProgramKeeper | null = null) {
    this.#socket = socket;
    this.#hold = new Hold(keeper);
    this.#nics = nics;
    this.addr = toNetAddr("udp", socket.local);
    this.remoteAddr = socket.remote === null ? null : toNetAddr("udp", socket.remote);
    socket.onReceivable = () => this.#serveSoon();
    socket.onClosed = () => this.#interrupt();
  }

  /** The settings of the socket. */
  get settings(): Readonly<UdpSettings> {
    return this.#socket.settings;
  }

  /**
   * Changes some settings, from now on.
   *
   * @throws {RangeError} If a number is out of range; a `TypeError` if a value is of another kind.
   * @throws {Deno.errors.BadResource} If the socket has been closed.
   */
  configure(changes: Partial<UdpSettings>): void {
    this.#assertOpen("change settings");
    checkUdpSettings(changes);
    Object.assign(this.#socket.settings, changes);
  }

  /** Datagrams that were dropped because nobody received them in time. */
  get dropped(): number {
    return this.#socket.dropped;
  }

  /**
   * Waits for the next datagram, which is put into `p` (what does not fit is lost) or, without it, into a buffer of the
   * right size.
   *
   * @throws {Deno.errors.BadResource} If the socket has been closed.
   * @throws {Deno.errors.Interrupted} If it is closed meanwhile.
   * @throws {Deno.errors.ConnectionRefused} Once, when a connected peer has said that nobody listens there.
   */
  // deno-lint-ignore require-await -- so that errors become rejections
  async receive(p?: Uint8Array): Promise<Datagram> {
    this.#assertOpen("receive");
    const target = p ?? null;
    if (this.#receives.length === 0 && (this.#socket.receivable > 0 || this.#socket.failed)) return this.#take(target);
    this.#hold.waiting = true;
    return new Promise((resolve, reject) => this.#receives.push({ target, resolve, reject }));
  }

  /**
   * Sends one datagram and resolves with its length. Without `addr` it goes to the peer of a connected socket.
   *
   * @throws {Deno.errors.BadResource} If the socket has been closed.
   * @throws {Deno.errors.NetworkUnreachable} If there is no route.
   * @throws {Deno.errors.PermissionDenied} For a broadcast address, unless the socket's settings allow it.
   * @throws {Deno.errors.InvalidData} If it is too long for a datagram.
   * @throws {Deno.errors.ConnectionRefused} Once, when a connected peer has said that nobody listens there.
   * @throws {TypeError} If the address makes no sense; a `RangeError` for a port out of range.
   */
  // deno-lint-ignore require-await -- so that errors become rejections
  async send(p: Uint8Array, addr?: Deno.Addr): Promise<number> {
    this.#assertOpen("send");
    if (addr === undefined) this.#socket.send(p);
    else this.#socket.send(p, this.#destination(addr));
    return p.length;
  }

  /**
   * Receives what is sent to an IPv4 multicast group.
   *
   * @param address The group.
   * @param networkInterface An own address of the interface; `0.0.0.0` for the first one that is not the loopback.
   * @throws {TypeError} If `address` is no IPv4 multicast address.
   * @throws {Deno.errors.AddrNotAvailable} If there is no such interface.
   * @throws {Deno.errors.AddrInUse} If the socket has joined already.
   */
  // deno-lint-ignore require-await -- so that errors become rejections
  async joinMulticastV4(address: string, networkInterface: string): Promise<Deno.MulticastV4Membership> {
    const group = this.#parseGroup(address, 4);
    const own = parseHostname(networkInterface);
    const nic = this.#nics.find((nic) =>
      own.isUnspecified ? !nic.device.loopback : nic.addresses.some((prefix) => prefix.address.equals(own))
    );
    if (nic === undefined) throw noInterface(group, `has the address ${networkInterface}`);
    this.#socket.joinGroup(nic, group);
    return {
      leave: () => this.#leave(nic, group),
      setLoopback: (loopback) => this.#setLoopback(loopback),
      setTTL: (ttl) => this.#setMulticastTimeToLive(ttl),
    };
  }

  /**
   * Receives what is sent to an IPv6 multicast group.
   *
   * @param address The group.
   * @param networkInterface The interface's index in the stack.
   * @throws {TypeError} If `address` is no IPv6 multicast address.
   * @throws {Deno.errors.AddrNotAvailable} If there is no such interface.
   * @throws {Deno.errors.AddrInUse} If the socket has joined already.
   */
  // deno-lint-ignore require-await -- so that errors become rejections
  async joinMulticastV6(address: string, networkInterface: number): Promise<Deno.MulticastV6Membership> {
    const group = this.#parseGroup(address, 6);
    const nic = this.#nics.find(({ index }) => index === networkInterface);
    if (nic === undefined) throw noInterface(group, `has the index ${networkInterface}`);
    this.#socket.joinGroup(nic, group);
    return { leave: () => this.#leave(nic, group), setLoopback: (loopback) => this.#setLoopback(loopback) };
  }

  /**
   * Closes the socket.
   *
   * @throws {Deno.errors.BadResource} If it has been closed before.
   */
  close(): void {
    this.#assertOpen("close");
    this.#socket.close();
  }

  /** Ends the receives that wait: the socket was closed, by its user or with the stack. */
  #interrupt(): void {
    const error = makeError("Interrupted", `Cannot receive on ${this.#text()}: the socket was closed meanwhile`);
    for (const receive of this.#receives.splice(0)) receive.reject(error);
    this.#hold.waiting = false;
  }

  /** Closes the socket unless that has been done. */
  [Symbol.dispose](): void {
    if (!this.#socket.closed) this.close();
  }

  /** The datagrams as they come, until the socket is closed. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Datagram, undefined, undefined> {
    while (!this.#socket.closed) {
      try {
        yield await this.receive();
      } catch (error) {
        if (!this.#socket.closed) throw error;
      }
    }
  }

  /** A `receive` that waits keeps the program running. That is so at first. */
  ref(): void {
    this.#hold.referenced = true;
  }

  /** A `receive` that waits does not keep the program running; its stack does so all the same until it is `unref`ed. */
  unref(): void {
    this.#hold.referenced = false;
  }

  #take(target: Uint8Array | null): Datagram {
    const buffer = target ?? new Uint8Array(Math.max(this.#socket.nextLength, 0));
    const received = this.#socket.receive(buffer, this.#sender);
    return [buffer.subarray(0, received) as Uint8Array<ArrayBuffer>, toNetAddr("udp", this.#sender)];
  }

  /** UDP calls in the middle of packet handling, so what waits is served a little later, and many calls at once. */
  #serveSoon(): void {
    if (this.#serving || this.#receives.length === 0) return;
    this.#serving = true;
    queueMicrotask(() => {
      this.#serving = false;
      while (this.#receives.length > 0 && (this.#socket.receivable > 0 || this.#socket.failed)) {
        const receive = this.#receives.shift()!;
        try {
          receive.resolve(this.#take(receive.target));
        } catch (error) {
          receive.reject(error as Error);
        }
      }
      this.#hold.waiting = this.#receives.length > 0;
    });
  }

  #destination(addr: Deno.Addr): Endpoint {
    if (addr.transport !== "udp") throw new TypeError(`Cannot send to a ${addr.transport} address: give a udp address`);
    const { hostname, port } = addr;
    const known = this.#addresses.get(hostname);
    if (known !== undefined) return { address: known, port: checkPort(port, 1) };
    const { address } = remoteEndpoint(hostname, port);
    if (this.#addresses.size === rememberedAddresses) this.#addresses.clear();
    this.#addresses.set(hostname, address);
    return { address, port };
  }

  #parseGroup(text: string, family: 4 | 6): IpAddress {
    this.#assertOpen("join a group");
    const group = IpAddress.tryParse(text);
    if (group === null || group.family !== family || !group.isMulticast) {
      throw new TypeError(`Cannot join "${text}": it is no IPv${family} multicast address`);
    }
    return group;
  }

  // deno-lint-ignore require-await -- so that errors become rejections
  async #leave(nic: Nic, group: IpAddress): Promise<void> {
    this.#assertOpen("leave a group");
    this.#socket.leaveGroup(nic, group);
  }

  // deno-lint-ignore require-await -- so that errors become rejections
  async #setMulticastTimeToLive(timeToLive: number): Promise<void> {
    this.configure({ multicastTimeToLive: timeToLive });
  }

  // deno-lint-ignore require-await -- so that errors become rejections
  async #setLoopback(loopback: boolean): Promise<void> {
    this.configure({ multicastLoopback: loopback });
  }

  #text(): string {
    return formatEndpoint(this.#socket.local);
  }

  #assertOpen(doing: string): void {
    if (this.#socket.closed) {
      throw makeError("BadResource", `Cannot ${doing} on ${this.#text()}: the socket has been closed`);
    }
  }
}

/**
 * Opens a UDP socket that receives from anybody.
 *
 * @throws {Deno.errors.AddrInUse} If another socket has the port.
 * @throws {Deno.errors.AddrNotAvailable} If the address is not ours.
 * @throws {TypeError} If an option makes no sense; a `RangeError` for a number out of range.
 */
export function listenUdp(
  udp: Udp,
  nics: readonly Nic[],
  options: UdpListenOptions,
  keeper: ProgramKeeper | null = null,
): DatagramConn {
  checkTransport(options.transport, "udp");
  const local = localEndpoint(options.hostname, options.port);
  const apply = checkSettings(options);
  const socket = udp.bind({ local, ...toRequest(options) });
  apply(socket.settings);
  return new DatagramConn(socket, nics, keeper);
}

/**
 * Opens a UDP socket that exchanges datagrams with one peer only. Nothing is sent yet.
 *
 * @throws {Deno.errors.NetworkUnreachable} If there is no route.
 * @throws {Deno.errors.AddrInUse} If another socket has the local port.
 * @throws {TypeError} If an option makes no sense; a `RangeError` for a number out of range.
 */
export function connectUdp(
  udp: Udp,
  nics: readonly Nic[],
  options: UdpConnectOptions,
  keeper: ProgramKeeper | null = null,
): DatagramConn {
  checkTransport(options.transport, "udp");
  const remote = remoteEndpoint(options.hostname, options.port);
  const localAddress = options.localHostname === undefined ? null : parseHostname(options.localHostname);
  const localPort = checkPort(options.localPort ?? 0, 0);
  const apply = checkSettings(options);
  const socket = udp.connect({ remote, localAddress, localPort, ...toRequest(options) });
  apply(socket.settings);
  return new DatagramConn(socket, nics, keeper);
}

function toRequest(options: UdpSocketOptions): { reuse: boolean; receiveBufferBytes?: number } {
  const { reuseAddress: reuse = false, receiveBufferBytes } = options;
  return receiveBufferBytes === undefined ? { reuse } : { reuse, receiveBufferBytes };
}

/** Checks before anything is opened; what it returns cannot fail. */
function checkSettings(options: UdpSocketOptions): (settings: UdpSettings) => void {
  const { broadcast, timeToLive, multicastTimeToLive, loopback, trafficClass, dontFragment } = options;
  const given = { broadcast, timeToLive, multicastTimeToLive, multicastLoopback: loopback, trafficClass, dontFragment };
  const changes: Partial<UdpSettings> = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  );
  checkUdpSettings(changes);
  if (options.receiveBufferBytes !== undefined) {
    checkNumber("a receive buffer size", options.receiveBufferBytes, 0, Number.MAX_SAFE_INTEGER);
  }
  return (settings) => Object.assign(settings, changes);
}

function checkUdpSettings(changes: Partial<UdpSettings>): void {
  const { timeToLive, multicastTimeToLive, trafficClass } = changes;
  if (timeToLive !== undefined) checkNumber("a TTL", timeToLive, 1, 255);
  if (multicastTimeToLive !== undefined) checkNumber("a multicast TTL", multicastTimeToLive, 0, 255);
  if (trafficClass !== undefined) checkNumber("a traffic class", trafficClass, 0, 255);
  for (const name of ["broadcast", "multicastLoopback", "dontFragment"] as const) {
    const value = changes[name];
    if (value !== undefined && typeof value !== "boolean") {
      throw new TypeError(`Cannot use ${value} as the setting "${name}": it must be true or false`);
    }
  }
}

function noInterface(group: IpAddress, what: string): Error {
  return makeError("AddrNotAvailable", `Cannot join ${group}: no interface ${what}`);
}
