/**
 * Pairs of WebSockets without a network, whose messages arrive when time is let pass.
 *
 * @module
 */

import type {
  WebSocket,
  WebSocketData,
  WebSocketEvents,
  WebSocketListener,
} from "../../../stack/application/websocket_types.ts";
import type { Steppable } from "../../helpers/virtual_time.ts";

type EventName = keyof WebSocketEvents;

interface Sent {
  readonly event: "message" | "ping" | "pong";
  readonly data: Uint8Array;
  readonly isBinary: boolean;
  readonly callback: (() => void) | undefined;
}

/** One end of a {@linkcode FakeLine}. */
export class FakeSocket implements WebSocket {
  readyState = 1;
  readonly protocol = "";
  readonly extensions = "";
  readonly isPaused = false;
  /** What was sent and has not arrived. */
  readonly sent: Sent[] = [];
  readonly #listeners = new Map<EventName, ((...args: never[]) => void)[]>();
  peer: FakeSocket = this;

  get bufferedAmount(): number {
    return this.sent.reduce((sum, { data }) => sum + data.length, 0);
  }

  send(data: WebSocketData, options?: unknown, callback?: unknown): void {
    const isBinary = typeof data !== "string";
    const bytes = isBinary ? data as Uint8Array : new TextEncoder().encode(data);
    const done = (callback ?? options) as (() => void) | undefined;
    this.#enqueue({ event: "message", data: bytes, isBinary, callback: typeof done === "function" ? done : undefined });
  }

  ping(): void {
    this.#enqueue({ event: "ping", data: new Uint8Array(0), isBinary: true, callback: undefined });
  }

  pause(): void {}

  resume(): void {}

  close(code = 1005, reason = ""): void {
    if (this.readyState > 1) return;
    this.readyState = this.peer.readyState = 3;
    const bytes = new TextEncoder().encode(reason);
    for (const end of [this, this.peer]) end.emit("close", code, bytes);
  }

  /** The connection breaks, for both ends. */
  terminate(): void {
    this.close(1006);
  }

  on<Name extends EventName>(event: Name, listener: WebSocketListener<Name>): this {
    this.#listeners.set(event, [...this.#listeners.get(event) ?? [], listener as (...args: never[]) => void]);
    return this;
  }

  once<Name extends EventName>(event: Name, listener: WebSocketListener<Name>): this {
    return this.on(event, listener);
  }

  off<Name extends EventName>(event: Name, listener: WebSocketListener<Name>): this {
    this.#listeners.set(event, (this.#listeners.get(event) ?? []).filter((other) => other !== listener as unknown));
    return this;
  }

  emit<Name extends EventName>(event: Name, ...args: WebSocketEvents[Name]): void {
    for (const listener of this.#listeners.get(event) ?? []) (listener as WebSocketListener<Name>)(...args);
  }

  /** Lets the oldest message arrive. */
  arrive(): void {
    const { event, data, isBinary, callback } = this.sent.shift()!;
    callback?.();
    if (event === "message") this.peer.emit("message", data, isBinary);
    else this.peer.emit(event, data);
    if (event === "ping") this.peer.#enqueue({ event: "pong", data, isBinary: true, callback: undefined });
  }

  #enqueue(message: Sent): void {
    if (this.readyState === 1) this.sent.push(message);
  }
}

/** A connection of two WebSockets. */
export class FakeLine implements Steppable {
  readonly client = new FakeSocket();
  readonly server = new FakeSocket();
  /** Whether nothing arrives any more, and nobody is told. */
  isDead = false;
  /** Whether what the server sends waits. */
  isSlow = false;

  constructor() {
    this.client.peer = this.server;
    this.server.peer = this.client;
  }

  step(): number {
    if (this.isDead) return 0;
    let arrived = 0;
    for (const end of this.isSlow ? [this.client] : [this.client, this.server]) {
      for (; end.sent.length > 0 && end.readyState === 1; arrived++) end.arrive();
    }
    return arrived;
  }
}
