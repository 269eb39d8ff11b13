/**
 * A WebSocket as a channel of packets.
 *
 * @module
 */

import type { ChannelDevice, MessageChannel } from "../../link/channel.ts";
import type { WebSocket } from "../websocket_types.ts";

/** Carries the messages of a device in binary messages of a WebSocket. */
export class SocketChannel implements MessageChannel {
  readonly #socket: WebSocket;
  readonly #onSent: () => void;

  /** Opens the device with this channel. What the socket brings is not listened for here. */
  constructor(socket: WebSocket, device: ChannelDevice) {
    this.#socket = socket;
    this.#onSent = () => device.drained();
    device.open(this);
  }

  /** See {@linkcode MessageChannel.bufferedBytes}. */
  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  /** See {@linkcode MessageChannel.send}. A socket that is closed drops it. */
  send(message: Uint8Array<ArrayBuffer>): void {
    this.#socket.send(message, this.#onSent);
  }
}
