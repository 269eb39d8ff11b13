/**
 * TCP as the socket layer sees it, moved by hand: a test says what the peer does.
 *
 * @module
 */

import { IpAddress } from "../../stack/address.ts";
import { makeError } from "../../stack/errors.ts";
import type { Endpoint } from "../../stack/transport/endpoint.ts";
import { defaultSettings } from "../../stack/transport/tcp/settings.ts";
import { State } from "../../stack/transport/tcp/state.ts";
import type {
  ConnectionObserver,
  ConnectionSettings,
  ConnectRequest,
  Failure,
  ListenRequest,
  TcpInfo,
  TcpUserCalls,
  UserConnection,
  UserListener,
} from "../../stack/transport/tcp/user.ts";

const defaults: ConnectionSettings = { ...defaultSettings, sendBufferBytes: 65536, receiveBufferBytes: 65536 };

/** A connection whose peer is the test. */
export class FakeConnection implements UserConnection {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  state: State = State.established;
  settings: ConnectionSettings;
  observer: ConnectionObserver | null = null;
  failure: Failure | null = null;
  finished = false;
  deferred = false;
  /** Room in the send buffer, in bytes. */
  room = 65536;
  /** All that was taken for sending. */
  readonly taken: number[] = [];
  /** The calls that end things, in order. */
  readonly calls: ("shutdown" | "close" | "abort")[] = [];
  /** How often `receive` was called. */
  receives = 0;
  /** The buffer that the next `receive` was announced for, or null. */
  expected: Uint8Array | null = null;
  #incoming: number[] = [];
  #peerEnded = false;

  constructor(
    remote: Endpoint = { address: IpAddress.parse("192.0.2.9"), port: 80 },
    settings: Partial<ConnectionSettings> = {},
  ) {
    this.local = { address: IpAddress.parse("192.0.2.1"), port: 50000 };
    this.remote = remote;
    this.settings = { ...defaults, ...settings };
  }

  get receivable(): number {
    return this.#incoming.length;
  }

  get ended(): boolean {
    return this.#peerEnded && this.#incoming.length === 0;
  }

  get unacknowledged(): number {
    return this.taken.length;
  }

  configure(changes: Partial<ConnectionSettings>): void {
    Object.assign(this.settings, changes);
  }

  expect(target: Uint8Array | null): void {
    this.expected = target;
  }

  receive(target: Uint8Array): number {
    this.receives++;
    this.expected = null;
    const bytes = this.#incoming.splice(0, target.length);
    target.set(bytes);
    return bytes.length;
  }

  peek(target: Uint8Array): number {
    const bytes = this.#incoming.slice(0, target.length);
    target.set(bytes);
    return bytes.length;
  }

  get unsent(): number {
    return 0;
  }

  send(source: Uint8Array): number {
    if (this.calls.length > 0) return 0;
    const bytes = Math.min(source.length, this.room);
    this.taken.push(...source.subarray(0, bytes));
    this.room -= bytes;
    return bytes;
  }

  proceed(): void {
    this.deferred = false;
  }

  shutdown(): void {
    this.calls.push("shutdown");
  }

  close(): void {
    this.calls.push("close");
  }

  abort(): void {
    this.calls.push("abort");
    this.fail({ name: "ConnectionAborted", message: "it was aborted" });
  }

  info(): TcpInfo {
    return { state: "ESTABLISHED" } as TcpInfo;
  }

  /** Text that was taken for sending. */
  get takenText(): string {
    return new TextDecoder().decode(new Uint8Array(this.taken));
  }

  /** The handshake completes. */
  establish(): void {
    this.observer!.established();
  }

  /** The peer sends. */
  arrive(text: string): void {
    this.#incoming.push(...new TextEncoder().encode(text));
    this.observer?.readable();
  }

  /** The peer ends its side. */
  end(): void {
    this.#peerEnded = true;
    this.observer?.readable();
  }

  /** The peer acknowledges so much that there is room again. */
  makeRoom(bytes: number): void {
    this.room += bytes;
    this.observer?.writable();
  }

  /** The connection is over. */
  fail(failure: Failure | null): void {
    if (this.state === State.closed) return;
    this.state = State.closed;
    this.finished = true;
    this.failure = failure;
    this.observer?.closed(failure);
  }

  /** The peer resets the connection. */
  reset(): void {
    this.fail({ name: "ConnectionReset", message: "the peer reset the connection" });
  }
}

/** A listening port at which a test lets connections arrive. */
export class FakeListener implements UserListener {
  readonly local: Endpoint;
  onAcceptable: (() => void) | null = null;
  onClosed: (() => void) | null = null;
  closed = false;
  readonly #queue: FakeConnection[] = [];

  constructor(local: Endpoint) {
    this.local = local;
  }

  accept(): UserConnection | null {
    return this.#queue.shift() ?? null;
  }

  close(): void {
    this.closed = true;
    this.onClosed?.();
  }

  /** A connection is established. */
  arrive(connection = new FakeConnection()): FakeConnection {
    this.#queue.push(connection);
    this.onAcceptable?.();
    return connection;
  }
}

/** Notes what is asked for. */
export class FakeTcp implements TcpUserCalls {
  readonly connects: ConnectRequest[] = [];
  readonly connections: FakeConnection[] = [];
  readonly listens: ListenRequest[] = [];
  readonly listeners: FakeListener[] = [];
  /** Refuse the next call with this error. */
  refusal: Parameters<typeof makeError> | null = null;

  connect(request: ConnectRequest): UserConnection {
    this.connects.push(request);
    if (this.refusal !== null) throw makeError(...this.refusal);
    const connection = new FakeConnection(request.remote, request.settings);
    connection.state = State.synSent;
    this.connections.push(connection);
    return connection;
  }

  listen(request: ListenRequest): UserListener {
    this.listens.push(request);
    if (this.refusal !== null) throw makeError(...this.refusal);
    const { address, port } = request.local;
    const listener = new FakeListener({ address, port: port === 0 ? 50001 : port });
    this.listeners.push(listener);
    return listener;
  }
}
