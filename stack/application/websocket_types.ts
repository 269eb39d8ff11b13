/**
 * A WebSocket as its users see it.
 *
 * @module
 */

/** What can be sent as one message. */
export type WebSocketData = string | ArrayBufferLike | ArrayBufferView;

/** What the events of a WebSocket hand to their listeners. */
export interface WebSocketEvents {
  /** The handshake is done. */
  open: [];
  /** A message: its bytes, and whether they are binary or UTF-8 text. */
  message: [data: Uint8Array, isBinary: boolean];
  /** A ping; the answer has been sent. */
  ping: [data: Uint8Array];
  /** An answer to a ping. */
  pong: [data: Uint8Array];
  /** The end: a status code (RFC 6455 section 7.4) and the peer's words. */
  close: [code: number, reason: Uint8Array];
  /** Something went wrong; `close` follows. */
  error: [error: Error];
}

/** Listens for an event. */
export type WebSocketListener<Name extends keyof WebSocketEvents> = (...args: WebSocketEvents[Name]) => void;

/**
 * A WebSocket: the members of the platform's that matter, and more. It is a `WebSocket` of the package ws, whose other
 * members are there too.
 */
export interface WebSocket {
  /** 0 while connecting, 1 when open, 2 while closing, 3 when closed. */
  readonly readyState: number;
  /** The subprotocol that was agreed on, or an empty string. */
  readonly protocol: string;
  /** The extensions that were agreed on. */
  readonly extensions: string;
  /** Bytes that were sent but are not with TCP yet: wait while there are many. */
  readonly bufferedAmount: number;
  /** Whether {@linkcode WebSocket.pause} has been called. */
  readonly isPaused: boolean;
  /** Sends a message, or with `fin: false` a part of one, and calls back when TCP has taken it. */
  send(data: WebSocketData, callback?: (error?: Error) => void): void;
  /** As above, with options: `binary` says what the bytes are, `fin` whether they end the message. */
  send(data: WebSocketData, options: { binary?: boolean; fin?: boolean }, callback?: (error?: Error) => void): void;
  /** Asks the peer for a sign of life. */
  ping(data?: WebSocketData): void;
  /** Stops receiving: TCP's window then holds up the peer. */
  pause(): void;
  /** Receives again. */
  resume(): void;
  /** Says good-bye with a status code and a reason, and closes when the peer has done so too. */
  close(code?: number, reason?: string): void;
  /** Ends the connection at once. */
  terminate(): void;
  /** Listens for an event. */
  on<Name extends keyof WebSocketEvents>(event: Name, listener: WebSocketListener<Name>): this;
  /** Listens for an event once. */
  once<Name extends keyof WebSocketEvents>(event: Name, listener: WebSocketListener<Name>): this;
  /** Stops listening. */
  off<Name extends keyof WebSocketEvents>(event: Name, listener: WebSocketListener<Name>): this;
}
