/**
 * One of several queues of the same interface, each with a stack of its own: the stacks share addresses and listening
 * ports, and the kernel spreads the flows over the queues.
 *
 * The kernel chooses the queue of a flow by its hash, or where its frames come from, which it forgets after seconds. So
 * a frame may come to another stack than the one whose flow it is: here it is handed on to that one, which is known by
 * the port, since every stack chooses ephemeral ports of its own. What concerns all of them is handed to all.
 *
 * @module
 */

import type { Packet } from "../packet.ts";
import { PacketQueue } from "../packet.ts";
import type { Device, DeviceHost, FlowShare } from "./device.ts";
import { DeviceWrapper } from "./device_wrapper.ts";
import { EthernetField, ethernetHeaderBytes } from "./ethernet_header.ts";
import { ArpField, ArpOperation } from "./arp_header.ts";
import { EtherType } from "./nic.ts";

/** A way to another stack's queue, in the shape of a `MessagePort`. */
export interface FramePort {
  /** Sends a message there. */
  postMessage(message: unknown): void;
  /** Called with what comes from there. */
  onmessage: ((event: MessageEvent) => void) | null;
  /** Ends it. */
  close(): void;
}

/** A frame on its way from one queue to another. */
interface HandedFrame {
  readonly bytes: Uint8Array;
  /** As `Packet.checksum`. */
  readonly checksum: Packet["checksum"];
  /** As `Packet.segmentBytes`. */
  readonly segmentBytes: number;
}

/** The counters of a shared queue. */
export interface SharedQueueCounters {
  /** Frames of other stacks' flows that were handed on to them. */
  misdirected: number;
  /** Frames for all stacks that were handed on. */
  announced: number;
  /** Frames that came from other queues. */
  handed: number;
  /** Frames from other queues that found the queue full or no packet free. */
  handedDropped: number;
}

/** Frames from other queues that wait to be received at most. */
const queueLimit = 256;

/** Whose a frame is, where it is not one stack's. */
const everyone = -1;

/** First of the ephemeral ports (RFC 6335 section 6): those that the stacks have divided among themselves. */
const ephemeralFirst = 49152;

/** Offsets in an IPv4 header. */
const Ipv4Field = { versionAndLength: 0, fragment: 6, protocol: 9 } as const;
const moreFragmentsAndOffset = 0x3fff;
const Protocol = { icmp: 1, igmp: 2, tcp: 6, udp: 17 } as const;
const shortestIpv4 = 20;
/** ICMP messages that want an answer, of which one is enough. */
const icmpEchoRequest = 8;
const icmpTimestampRequest = 13;
/** The destination port's offset in a TCP or UDP header. */
const destinationPort = 2;

/** A device in front of one queue of a multi-queue interface. Ethernet only. */
export class SharedQueue extends DeviceWrapper {
  /** Which of the queues this is. */
  override readonly share: FlowShare;
  /** What passed between the queues. */
  readonly counters: SharedQueueCounters = { misdirected: 0, announced: 0, handed: 0, handedDropped: 0 };
  readonly #ports: readonly (FramePort | null)[];
  readonly #handed = new PacketQueue();
  #host: DeviceHost | null = null;

  /** Takes one queue, and ways to the others by their index; null for itself. */
  constructor(inner: Device, share: FlowShare, ports: readonly (FramePort | null)[]) {
    super(inner);
    if (inner.medium !== "ethernet") {
      throw new TypeError(`Cannot share the queues of "${inner.name}": it carries no Ethernet frames`);
    }
    this.share = share;
    this.#ports = ports;
  }

  /** See {@linkcode Device.gathers}: what is sent passes as it is. */
  get gathers(): boolean {
    return this.inner.gathers ?? false;
  }

  /** See {@linkcode Device.attach}. */
  override attach(host: DeviceHost): void {
    super.attach(host);
    this.#host = host;
    for (const port of this.#ports) {
      if (port !== null) port.onmessage = ({ data }) => this.#take(data as HandedFrame);
    }
  }

  /** See {@linkcode Device.receive}. */
  override receive(): Packet | null {
    const handed = this.#handed.dequeue();
    if (handed !== null) return handed;
    for (;;) {
      const packet = this.inner.receive();
      if (packet === null) return null;
      const owner = ownerOf(packet, this.share.count);
      if (owner === this.share.index || owner === undefined) return packet;
      if (owner === everyone) {
        this.counters.announced++;
        const frame = copyOf(packet);
        for (const port of this.#ports) port?.postMessage(frame);
        return packet;
      }
      this.counters.misdirected++;
      this.#ports[owner]!.postMessage(copyOf(packet));
      packet.release();
    }
  }

  /** See {@linkcode Device.close}. */
  override close(): void {
    for (const port of this.#ports) port?.close();
    this.#handed.clear();
    super.close();
  }

  /** Takes a frame from another queue. */
  #take({ bytes, checksum, segmentBytes }: HandedFrame): void {
    const host = this.#host!;
    this.counters.handed++;
    const packet = this.#handed.length < queueLimit ? host.pool.allocate(host.headroom, bytes.length) : null;
    if (packet === null) {
      this.counters.handedDropped++;
      return;
    }
    packet.tail = packet.head + bytes.length;
    packet.bytes.set(bytes, packet.head);
    packet.checksum = checksum;
    packet.segmentBytes = segmentBytes;
    this.#handed.enqueue(packet);
    host.wake();
  }
}

function copyOf(packet: Packet): HandedFrame {
  return { bytes: packet.contents().slice(), checksum: packet.checksum, segmentBytes: packet.segmentBytes };
}

/** The index of the queue whose frame this is, `everyone`, or undefined where any will do. */
function ownerOf({ view, head, tail }: Packet, count: number): number | undefined {
  const network = head + ethernetHeaderBytes;
  if (network > tail) return undefined;
  const type = view.getUint16(head + EthernetField.etherType);
  if (type === EtherType.arp) {
    // The stack that asked is not known; a request is answered once.
    const operationAt = network + ArpField.operation;
    return operationAt + 2 <= tail && view.getUint16(operationAt) === ArpOperation.reply ? everyone : undefined;
  }
  if (type !== EtherType.ipv4 || network + shortestIpv4 > tail) return undefined;
  // Fragments have to come together: only the first one shows the ports.
  if ((view.getUint16(network + Ipv4Field.fragment) & moreFragmentsAndOffset) !== 0) return 0;
  const transport = network + (view.getUint8(network + Ipv4Field.versionAndLength) & 0xf) * 4;
  if (transport + destinationPort + 2 > tail) return undefined;
  switch (view.getUint8(network + Ipv4Field.protocol)) {
    case Protocol.tcp:
    case Protocol.udp: {
      const port = view.getUint16(transport + destinationPort);
      return port < ephemeralFirst ? undefined : port % count;
    }
    case Protocol.icmp: {
      const type = view.getUint8(transport);
      return type === icmpEchoRequest || type === icmpTimestampRequest ? undefined : everyone;
    }
    case Protocol.igmp:
      return everyone;
  }
  return undefined;
}
