/**
 * The WebSocket echo server.
 *
 * @module
 */

import type { Logger } from "../../mod.ts";
import { upgradeWebSocket, type WebSocket } from "../../stack/application/websocket.ts";
import type { ServeHandlerInfo } from "../../stack/application/http.ts";
import { page } from "./page.ts";

/** Unsent bytes at which a client is not listened to any more until it has received some. */
const mostUnsentBytes = 1_048_576;

/** Echoes what WebSocket clients send, and shows a page to those who do not ask for WebSocket. */
export class WebSocketEcho {
  /** Messages echoed so far. */
  messages = 0;

  readonly #logger: Logger;
  readonly #sockets = new Set<WebSocket>();

  /** A service that says to `logger` who comes and goes. */
  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** How many clients are connected. */
  get clients(): number {
    return this.#sockets.size;
  }

  /** Answers a request. */
  readonly answer = (request: Request, { remoteAddr }: ServeHandlerInfo): Response => {
    if (request.headers.get("upgrade")?.toLowerCase() === "websocket") {
      return this.#accept(request, `${remoteAddr.hostname}:${remoteAddr.port}`);
    }
    if (new URL(request.url).pathname !== "/") return new Response("Not Found\n", { status: 404 });
    return new Response(page, { headers: { "content-type": "text/html; charset=utf-8" } });
  };

  /** Says good-bye to the clients. */
  close(): void {
    for (const socket of this.#sockets) socket.close(1001, "The server ends");
  }

  #accept(request: Request, peer: string): Response {
    const { socket, response } = upgradeWebSocket(request);
    this.#sockets.add(socket);
    this.#logger.info(`${peer} connected`);
    socket.on("message", (data, isBinary) => {
      this.messages++;
      socket.send(data, { binary: isBinary }, () => {
        if (socket.isPaused && socket.bufferedAmount < mostUnsentBytes) socket.resume();
      });
      // A client that sends and does not receive is held up by TCP, and costs no more memory than this.
      if (socket.bufferedAmount >= mostUnsentBytes) socket.pause();
    });
    socket.on("error", (error) => this.#logger.info(`${peer}: ${error.message}`));
    socket.on("close", (code, reason) => {
      this.#sockets.delete(socket);
      this.#logger.info(`${peer} closed: ${code} ${new TextDecoder().decode(reason)}`.trimEnd());
    });
    return response;
  }
}
