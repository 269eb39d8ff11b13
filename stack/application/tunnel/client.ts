/**
 * The client's side of a tunnel: it connects, and connects again when the connection is lost.
 *
 * @module
 */

import type { ChannelDevice } from "../../link/channel.ts";
import type { Logger } from "../../logger.ts";
import type { Random } from "../../random.ts";
import type { Timer, Timers } from "../../timers.ts";
import type { WebSocket } from "../websocket_types.ts";
import { Backoff, type BackoffOptions } from "./backoff.ts";
import { TunnelRefusal } from "./dial.ts";
import { Heartbeat } from "./heartbeat.ts";
import { CloseCode, type ConnectMessage, parseConnectMessage } from "./protocol.ts";
import { SocketChannel } from "./socket_channel.ts";

/** What a client is doing. */
export type TunnelState = "init" | "connecting" | "connected" | "closed";

/**
 * Opens a WebSocket to the server. Hands it to `prepare` before anything can come in, and resolves when it is open.
 *
 * @throws {TunnelRefusal} If to try again is in vain.
 */
export type Dial = (prepare: (socket: WebSocket) => void, signal: AbortSignal) => Promise<void>;

/** Options of {@linkcode TunnelClient}. */
export interface TunnelClientOptions {
  /** Opens a WebSocket to the server. */
  readonly dial: Dial;
  /** What the packets come from and go to. Its MTU becomes the server's. */
  readonly device: ChannelDevice;
  /** For the heartbeat and the waits between attempts. */
  readonly timers: Timers;
  /** Makes the waits between attempts differ from others'. */
  readonly random: Random;
  /** Who is told of connections that are lost and found. */
  readonly logger?: Logger;
  /** How long to wait between attempts. */
  readonly backoff?: BackoffOptions;
  /** Milliseconds that an attempt may take. Default 15,000. */
  readonly attemptTime?: number;
  /** Told of every change of the state. */
  readonly onState?: (state: TunnelState) => void;
}

/** The client as plain data. */
export interface ClientSnapshot {
  /** What it is doing. */
  state: TunnelState;
  /** What the server assigned, or null. */
  connection: ConnectMessage | null;
  /** Connections that were lost so far. */
  lost: number;
}

/**
 * A client. {@linkcode TunnelClient.connect} makes the first attempt, whose failure is the caller's; a connection that is
 * lost later is made anew, and the client keeps its address and, with it, the connections through the tunnel.
 */
export class TunnelClient {
  readonly #options: TunnelClientOptions;
  readonly #backoff: Backoff;
  readonly #retry: Timer;
  readonly #closing = new AbortController();
  readonly #end = Promise.withResolvers<void>();
  #state: TunnelState = "init";
  #connection: ConnectMessage | null = null;
  #socket: WebSocket | null = null;
  #heartbeat: Heartbeat | null = null;
  #lost = 0;

  /** A client that does nothing yet. */
  constructor(options: TunnelClientOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.random, options.backoff);
    this.#retry = options.timers.createFor(this, (client) => void client.#tryAgain());
    // Whoever wants to know asks; a refusal that nobody asks about is not the program's end.
    this.#end.promise.catch(() => {});
  }

  /** What it is doing. */
  get state(): TunnelState {
    return this.#state;
  }

  /** Resolves when it has been closed; rejects when the server does not want it any more. */
  get finished(): Promise<void> {
    return this.#end.promise;
  }

  /** The client as plain data. */
  snapshot(): ClientSnapshot {
    return { state: this.#state, connection: this.#connection, lost: this.#lost };
  }

  /**
   * Connects, and resolves with what the server assigns.
   *
   * @throws {TunnelRefusal} If the server refuses, or is not trusted.
   * @throws {Error} If it cannot be reached, or does not say what it should.
   */
  async connect(): Promise<ConnectMessage> {
    try {
      return await this.#attempt();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Says good-bye and ends. Does nothing the second time. */
  close(): void {
    if (this.#state === "closed") return;
    this.#closing.abort(new DOMException("The tunnel was closed", "AbortError"));
    this.#leave();
    this.#socket?.close(CloseCode.goingAway);
    this.#socket = null;
    this.#retry.dispose();
    this.#setState("closed");
    this.#end.resolve();
  }

  /** One attempt, from the first packet to the connect message. */
  async #attempt(): Promise<ConnectMessage> {
    const { dial, timers, attemptTime = 15_000 } = this.#options;
    this.#setState("connecting");
    const { promise, resolve, reject } = Promise.withResolvers<ConnectMessage>();
    const late = new AbortController();
    const timer = timers.create(() => {
      const error = new Error(`Cannot open a tunnel: the server has not answered for ${attemptTime / 1000} s`);
      late.abort(error);
      reject(error);
    });
    timer.start(attemptTime);
    const signal = AbortSignal.any([this.#closing.signal, late.signal]);
    let socket: WebSocket | null = null;
    try {
      // A socket that closes while it is being opened settles both: each has its reader.
      promise.catch(() => {});
      await dial((opened) => {
        socket = opened;
        this.#listen(opened, resolve, reject);
      }, signal);
      const message = await promise;
      signal.throwIfAborted();
      return message;
    } catch (error) {
      (socket as WebSocket | null)?.terminate();
      throw error;
    } finally {
      timer.dispose();
    }
  }

  #listen(socket: WebSocket, resolve: (message: ConnectMessage) => void, reject: (error: unknown) => void): void {
    let isWelcome = false;
    socket.on("message", (data, isBinary) => {
      if (isBinary) {
        if (isWelcome) {
          this.#heartbeat?.heard();
          this.#options.device.deliver(data);
        }
      } else if (!isWelcome) {
        try {
          const message = this.#checkConnection(parseConnectMessage(new TextDecoder().decode(data)));
          isWelcome = true;
          this.#enter(socket, message);
          resolve(message);
        } catch (error) {
          reject(error);
        }
      }
    });
    socket.on("ping", () => this.#heartbeat?.heard()).on("pong", () => this.#heartbeat?.heard());
    socket.on("error", reject);
    socket.on("close", (code, reason) => {
      const text = new TextDecoder().decode(reason);
      const isFinal = code === CloseCode.replaced || code === CloseCode.revoked;
      const Kind = isFinal ? TunnelRefusal : Error;
      const error = new Kind(`The server ended the tunnel: ${text || "the connection broke"}`);
      if (isWelcome) this.#lose(socket, error);
      else reject(error);
    });
  }

  /** A server that forgot who we are would cut off the connections through the tunnel. */
  #checkConnection(message: ConnectMessage): ConnectMessage {
    const before = this.#connection?.address;
    if (before === undefined || before === message.address) return message;
    throw new TunnelRefusal(`Cannot go on: the server now assigns ${message.address} in place of ${before}`);
  }

  #enter(socket: WebSocket, message: ConnectMessage): void {
    const { device, timers } = this.#options;
    if (this.#closing.signal.aborted) return;
    this.#socket = socket;
    this.#connection = message;
    this.#backoff.reset();
    device.mtu = message.mtu;
    new SocketChannel(socket, device);
    this.#heartbeat = new Heartbeat(timers, message.heartbeat, {
      ask: () => socket.ping(),
      giveUp: () => {
        this.#lose(socket, new Error("The server has been silent for too long"));
        socket.terminate();
      },
    });
    this.#setState("connected");
  }

  /** Stops using the connection. */
  #leave(): void {
    this.#heartbeat?.stop();
    this.#heartbeat = null;
    this.#options.device.shut();
  }

  #lose(socket: WebSocket, error: Error): void {
    if (this.#socket !== socket) return;
    this.#socket = null;
    this.#lost++;
    this.#leave();
    this.#recover(error);
  }

  async #tryAgain(): Promise<void> {
    try {
      const { address } = await this.#attempt();
      this.#options.logger?.info(`Connected again, as ${address}`);
    } catch (error) {
      this.#recover(error as Error);
    }
  }

  /** Tries again after a while, unless that is in vain. */
  #recover(error: Error): void {
    if (this.#state === "closed") return;
    if (error instanceof TunnelRefusal) {
      this.#end.reject(error);
      this.close();
      return;
    }
    const wait = this.#backoff.next();
    this.#options.logger?.warn(`${error.message}; trying again in ${(wait / 1000).toFixed(1)} s`);
    this.#setState("connecting");
    this.#retry.start(wait);
  }

  #setState(state: TunnelState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#options.onState?.(state);
  }
}
