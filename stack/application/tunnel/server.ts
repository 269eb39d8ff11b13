/**
 * The server's side of a tunnel: it decides who comes in, and keeps the sessions.
 *
 * @module
 */

import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { IpAddress, IpPrefix } from "../../address.ts";
import type { Logger } from "../../logger.ts";
import { WebSocketServer } from "../deps/ws.ts";
import type { WebSocket } from "../websocket_types.ts";
import { AttemptLimiter, type AttemptLimits } from "./attempt_limiter.ts";
import type { TunnelHub } from "./hub.ts";
import {
  CloseCode,
  encodeConnectMessage,
  type HeartbeatTimes,
  mostMessageBytes,
  tunnelProtocol,
  usualHeartbeat,
} from "./protocol.ts";
import { type RequestSource, sourceOf } from "./request_source.ts";
import { type SessionSnapshot, TunnelSession } from "./session.ts";

/** Who a token stands for, or why it is refused. */
export type Admission =
  | {
    /** The token's name. */
    readonly name: string;
    /** The address that belongs to it. */
    readonly address: IpAddress;
  }
  | Refusal;

/** Why a token is refused. */
export interface Refusal {
  /** The HTTP status of the refusal: the token is not known, it has expired, or there is no address for it. */
  readonly status: 401 | 403 | 503;
  /** One line for the client. */
  readonly reason: string;
}

/** How refusals are counted. */
const refusalNames = { 401: "unknownToken", 403: "expiredToken", 503: "noAddress" } as const;

/** Options of {@linkcode TunnelServer}. */
export interface TunnelServerOptions {
  /** Where the clients are joined to the server's device. */
  readonly hub: TunnelHub;
  /** The server's own address in the tunnel. */
  readonly gateway: IpAddress;
  /** The most bytes of a packet. */
  readonly mtu: number;
  /** Networks behind the server that clients are told of, beside the tunnel's own. Default: none. */
  readonly routes?: readonly IpPrefix[];
  /** When silence is too long. Default: 30 and 60 seconds. */
  readonly heartbeat?: HeartbeatTimes;
  /** How often somebody may come with a wrong token. */
  readonly attempts?: AttemptLimits;
  /** Decides about a token. */
  readonly admit: (token: string) => Admission;
  /** Who is told of clients that come and go. */
  readonly logger?: Logger;
  /** The date and time. Default: the platform's. */
  readonly now?: () => Date;
}

/** Whom a server has turned away, by reason. */
export interface Refusals {
  /** Clients that speak another version of the protocol, or none. */
  otherVersion: number;
  /** Tokens that are not known. */
  unknownToken: number;
  /** Tokens that have expired. */
  expiredToken: number;
  /** Clients for which there was no address. */
  noAddress: number;
  /** Clients whose source had failed too often: their tokens were not looked at. */
  tooManyAttempts: number;
}

/** The server as plain data. */
export interface ServerSnapshot {
  /** The tunnel's network. */
  network: string;
  /** Whether clients reach each other. */
  interconnect: boolean;
  /** Who is connected. */
  sessions: SessionSnapshot[];
  /** Packets from the server's device that were dropped, by reason. */
  drops: Record<string, number>;
  /** Whom it has turned away, by reason. */
  refusals: Refusals;
}

/**
 * Takes WebSocket connections of clients from any HTTP server of Node's form: on the system's network or on a stack.
 *
 * @example
 * ```ts ignore
 * const server = new TunnelServer({ hub, gateway, mtu: 1400, admit: (token) => store.admit(token) });
 * const https = createServer({ cert, key }).on("upgrade", server.upgrade).listen(443);
 * ```
 */
export class TunnelServer {
  readonly #options: TunnelServerOptions;
  readonly #sessions = new Map<string, TunnelSession>();
  readonly #webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: mostMessageBytes,
    perMessageDeflate: false,
    handleProtocols: () => tunnelProtocol,
  });
  readonly #limiter: AttemptLimiter;
  readonly #refusals: Refusals = {
    otherVersion: 0,
    unknownToken: 0,
    expiredToken: 0,
    noAddress: 0,
    tooManyAttempts: 0,
  };
  #closed = false;

  /** A server without clients. */
  constructor(options: TunnelServerOptions) {
    this.#options = options;
    this.#limiter = new AttemptLimiter(options.hub.timers.clock, options.attempts);
  }

  /** The names of the clients that are connected. */
  get names(): string[] {
    return [...this.#sessions.keys()];
  }

  /**
   * Answers a request for WebSocket: the listener for an HTTP server's event `upgrade`. Returns whether the client was
   * admitted; whoever was not has been answered, and told to close the connection.
   */
  readonly upgrade = (request: IncomingMessage, socket: Duplex, head: Uint8Array): boolean => {
    // Whoever goes away in the middle of the handshake is nobody's loss.
    socket.on("error", () => {});
    if (this.#closed) return refuse(socket, 503, "The server is about to end");
    const offered = (request.headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
    if (!offered.includes(tunnelProtocol)) {
      this.#refusals.otherVersion++;
      return refuse(socket, 400, `This server speaks another version of the protocol: ${tunnelProtocol}`);
    }
    const source = sourceOf(request);
    const wait = Math.ceil(this.#limiter.wait(source.key) / 1000);
    if (wait > 0) {
      this.#refusals.tooManyAttempts++;
      return refuse(socket, 429, `Too many wrong tokens came from there: try again in ${wait} s`, wait);
    }
    const token = /^Bearer (\S+)$/.exec(request.headers.authorization ?? "")?.[1];
    const admission = this.#options.admit(token ?? "");
    if ("status" in admission) {
      this.#noteRefusal(source, admission);
      return refuse(socket, admission.status, admission.reason);
    }
    const { text: remote } = source;
    // deno-lint-ignore no-explicit-any -- its declaration wants a Buffer
    this.#webSockets.handleUpgrade(request, socket, head as any, (opened) => this.welcome(opened, admission, remote));
    return true;
  };

  /** Ends a client's session, if it has one. */
  disconnect(name: string, code: number, why: string): void {
    this.#sessions.get(name)?.end(code, why);
  }

  /** The server as plain data. */
  snapshot(): ServerSnapshot {
    const { hub } = this.#options;
    return {
      network: hub.network.toString(),
      interconnect: hub.interconnect,
      sessions: Array.from(this.#sessions.values(), (session) => session.snapshot()),
      drops: { ...hub.drops },
      refusals: { ...this.#refusals },
    };
  }

  #noteRefusal(source: RequestSource, { status, reason }: Refusal): void {
    this.#refusals[refusalNames[status]]++;
    // A full network is not its clients' fault.
    if (status !== 503) this.#limiter.failed(source.key);
    const isLast = this.#limiter.wait(source.key) > 0;
    this.#options.logger?.warn(
      `Refused ${source.text}: ${reason}${isLast ? "; so often that it is not listened to for a while" : ""}`,
    );
  }

  /** Says good-bye to all clients, and takes no more. The HTTP server and the hub stay. */
  close(): void {
    this.#closed = true;
    for (const session of this.#sessions.values()) session.end(CloseCode.goingAway, "the server ends");
  }

  /** Takes in a client that was admitted and whose WebSocket is open; an earlier session of its token ends. */
  welcome(
    socket: WebSocket,
    { name, address }: { readonly name: string; readonly address: IpAddress },
    remote: string,
  ): void {
    const { hub, gateway, mtu, routes = [], heartbeat = usualHeartbeat, logger, now = () => new Date() } =
      this.#options;
    this.disconnect(name, CloseCode.replaced, "another connection with this token has taken over");
    this.#sessions.set(
      name,
      new TunnelSession(socket, hub, {
        name,
        address,
        remote,
        since: now(),
        mtu,
        heartbeat,
        onEnd: (session, why) => {
          if (this.#sessions.get(name) === session) this.#sessions.delete(name);
          logger?.info(`${name} (${address}) has gone: ${why}`);
        },
      }),
    );
    socket.send(encodeConnectMessage({
      address: `${address}/${hub.network.length}`,
      gateway: gateway.toString(),
      mtu,
      routes: [hub.network, ...routes].map(String),
      heartbeat,
    }));
    logger?.info(`${name} (${address}) has come from ${remote}`);
  }
}

/** Answers a request for WebSocket with a status and one line of text; `wait` says in how many seconds to come again. */
function refuse(socket: Duplex, status: number, reason: string, wait: number | null = null): false {
  const body = `${reason}\n`;
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    "content-type: text/plain",
    `content-length: ${body.length}`,
    ...(wait === null ? [] : [`retry-after: ${wait}`]),
    "connection: close",
  ];
  socket.end(`${lines.join("\r\n")}\r\n\r\n${body}`);
  return false;
}
