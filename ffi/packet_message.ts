/**
 * Receiving from a packet socket with what the kernel says beside the frame (packet(7), recvmsg(2)).
 *
 * @module
 */

import type { Libc } from "./libc.ts";
import { VirtioField, VirtioFlag, virtioHeaderBytes } from "./virtio_header.ts";

/** The level of a packet socket's options and messages. */
export const SOL_PACKET = 263;
/** Asks for the kernel's notes beside each frame. */
export const PACKET_AUXDATA = 8;

/** struct msghdr, on machines of 64 bits. */
const MessageOffset = { vector: 16, vectorLength: 24, control: 32, controlLength: 40 } as const;
const messageBytes = 56;
/** struct iovec. */
const VectorOffset = { base: 0, length: 8 } as const;
const vectorBytes = 16;
/** struct cmsghdr, and struct tpacket_auxdata behind it. */
const ControlOffset = { level: 8, type: 12, status: 16, vlanTag: 32, vlanProtocol: 34 } as const;
const controlBytes = 40;

const TP_STATUS_VLAN_VALID = 0x10;
const TP_STATUS_VLAN_TPID_VALID = 0x40;

/** IEEE 802.1Q: the tag stands between the source's address and the EtherType. */
const tagAt = 12;
const tagBytes = 4;
const customerTag = 0x8100;

/**
 * Receives frames, each behind a virtio-net header, into memory of the caller's. The kernel takes VLAN tags out of
 * frames: they are put back, since a frame of a VLAN would otherwise look like one of the link itself.
 */
export class PacketReceiver {
  readonly #message = new DataView(new ArrayBuffer(messageBytes));
  readonly #vector = new DataView(new ArrayBuffer(vectorBytes));
  readonly #control = new DataView(new ArrayBuffer(controlBytes));
  /** Where in memory the buffers lie that were received into, by buffer: there are few, and they do not move. */
  readonly #addresses = new WeakMap<ArrayBuffer, number>();

  /** Takes nothing: one receiver serves one socket. */
  constructor() {
    this.#pointTo(this.#message, MessageOffset.vector, addressOf(this.#vector.buffer));
    this.#message.setUint32(MessageOffset.vectorLength, 1, true);
    this.#pointTo(this.#message, MessageOffset.control, addressOf(this.#control.buffer));
  }

  /** Receives the next frame and its header into `room` and returns their length; -1 with an errno where there is none. */
  receive(libc: Libc, descriptor: number, room: Uint8Array<ArrayBuffer>): number {
    const { buffer, byteOffset } = room;
    let address = this.#addresses.get(buffer);
    if (address === undefined) {
      address = addressOf(buffer);
      this.#addresses.set(buffer, address);
    }
    this.#pointTo(this.#vector, VectorOffset.base, address + byteOffset);
    this.#vector.setUint32(VectorOffset.length, room.length - tagBytes, true);
    // The kernel says here how much it has written.
    this.#message.setUint32(MessageOffset.controlLength, controlBytes, true);
    const length = libc.calls.recvmsg(descriptor, this.#message, 0);
    return length < 0 ? length : this.#restoreTag(room, length);
  }

  #restoreTag(room: Uint8Array<ArrayBuffer>, length: number): number {
    const control = this.#control;
    if (this.#message.getUint32(MessageOffset.controlLength, true) < controlBytes) return length;
    if (control.getInt32(ControlOffset.level, true) !== SOL_PACKET) return length;
    if (control.getInt32(ControlOffset.type, true) !== PACKET_AUXDATA) return length;
    const status = control.getUint32(ControlOffset.status, true);
    if ((status & TP_STATUS_VLAN_VALID) === 0) return length;
    const knowsProtocol = (status & TP_STATUS_VLAN_TPID_VALID) !== 0;
    const protocol = knowsProtocol ? control.getUint16(ControlOffset.vlanProtocol, true) : customerTag;
    const tag = control.getUint16(ControlOffset.vlanTag, true);
    const at = virtioHeaderBytes + tagAt;
    room.copyWithin(at + tagBytes, at, length);
    room[at] = protocol >>> 8;
    room[at + 1] = protocol;
    room[at + 2] = tag >>> 8;
    room[at + 3] = tag;
    moveChecksum(room);
    return length + tagBytes;
  }

  /** Pointers have 64 bits, of which a number holds 53: more than any address has. */
  #pointTo(view: DataView, at: number, address: number): void {
    view.setUint32(at, address % 2 ** 32, true);
    view.setUint32(at + 4, Math.floor(address / 2 ** 32), true);
  }
}

/** Moves the place of an unfinished checksum, which the virtio-net header tells, behind the tag. */
function moveChecksum(room: Uint8Array): void {
  if ((room[VirtioField.flags]! & VirtioFlag.needsChecksum) === 0) return;
  for (const at of [VirtioField.checksumStart, VirtioField.headerLength]) {
    const value = room[at]! + room[at + 1]! * 256 + tagBytes;
    room[at] = value;
    room[at + 1] = value >>> 8;
  }
}

function addressOf(buffer: ArrayBuffer): number {
  return Number(Deno.UnsafePointer.value(Deno.UnsafePointer.of(buffer)));
}
