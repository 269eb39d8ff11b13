/**
 * Packets: slots of a pooled slab with a live window that moves as headers are pushed and popped.
 *
 * @module
 */

/** How far the transport checksum of a packet has been taken care of (the states of virtio-net). */
export const ChecksumState = {
  /** Nothing known: verify on receive, complete on transmit. */
  none: 0,
  /** Only the pseudo-header's sum is in place; `checksumStart` and `checksumOffset` say where the rest goes. */
  partial: 1,
  /** Known to be right: it was verified by the device, or never left this machine. */
  verified: 2,
} as const;

/** One of the values of {@linkcode ChecksumState}. */
export type ChecksumState = (typeof ChecksumState)[keyof typeof ChecksumState];

/**
 * One packet. `bytes` and `view` cover the whole slot; the packet itself is the window `[head, tail)`.
 *
 * A packet has a single owner. Whoever ends its journey calls {@linkcode Packet.release}.
 *
 * The last bytes of the window may still be elsewhere, where a transport keeps them: see {@linkcode Packet.borrow}.
 */
export class Packet {
  /** The whole slot. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The whole slot, for multi-byte fields. */
  readonly view: DataView<ArrayBuffer>;
  /** Offset of the first live byte. */
  head: number = 0;
  /** Offset behind the last live byte. */
  tail: number = 0;
  /** Offset of the link header, or -1. */
  linkAt: number = -1;
  /** Offset of the network header, or -1. */
  networkAt: number = -1;
  /** Offset of the transport header, or -1. */
  transportAt: number = -1;
  /** The network protocol's family, 4 or 6, or 0 while unknown. */
  family: 0 | 4 | 6 = 0;
  /** Offset of the source IP address. */
  sourceAt: number = -1;
  /** Offset of the destination IP address. */
  destinationAt: number = -1;
  /** The transport protocol's number, or -1. */
  protocol: number = -1;
  /** Type of service or traffic class of a received packet: DSCP and ECN bits. */
  trafficClass: number = 0;
  /** Whether the link frame or the IP destination was a broadcast or multicast address. */
  multicast: boolean = false;
  /** Whether it came from this host itself, over the loopback interface. */
  looped: boolean = false;
  /** Index of the network interface it arrived on or leaves by, or -1. */
  nic: number = -1;
  /** When the frame arrived, in milliseconds of the stack's clock. */
  arrivedAt: number = 0;
  /** See {@linkcode ChecksumState}. */
  checksum: ChecksumState = ChecksumState.none;
  /** Where summing starts when `checksum` is `partial`. */
  checksumStart: number = 0;
  /** Where the sum goes, counted from `checksumStart`, when `checksum` is `partial`. */
  checksumOffset: number = 0;
  /** Payload bytes of each segment when this is a super-segment; 0 when it is an ordinary packet. */
  segmentBytes: number = 0;
  /** Link of whichever queue the packet stands in. */
  next: Packet | null = null;
  /** The ring that holds the last bytes of the window, which are not in the slot yet; null when all of them are. */
  lender: Uint8Array<ArrayBuffer> | null = null;
  /** Where in the ring they begin. Behind the ring's end they go on at its start. */
  lentAt: number = 0;
  /** How many they are. */
  lentBytes: number = 0;

  readonly #pool: PacketPool;
  readonly #sizeClass: SizeClass;
  /** Views of the slot from an offset to its end, made on first use: what FFI calls are given. */
  readonly #views: (Uint8Array<ArrayBuffer> | undefined)[] = [];
  #part: Uint8Array<ArrayBuffer> | null = null;
  #partAt = 0;
  #owners = 0;

  /** Made by {@linkcode PacketPool} only. */
  constructor(pool: PacketPool, sizeClass: SizeClass, bytes: Uint8Array<ArrayBuffer>) {
    this.#pool = pool;
    this.#sizeClass = sizeClass;
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Live bytes. */
  get length(): number {
    return this.tail - this.head;
  }

  /** Bytes that could still be appended. */
  get tailroom(): number {
    return this.bytes.length - this.tail;
  }

  /**
   * Prepends `length` bytes and returns the offset of the new header. The caller fills all of it.
   *
   * @throws {RangeError} If there is less headroom than that.
   */
  push(length: number): number {
    const at = this.head - length;
    if (at < 0) {
      throw new RangeError(`Cannot push ${length} bytes: the packet has ${this.head} bytes of headroom left`);
    }
    this.head = at;
    return at;
  }

  /** Consumes `length` bytes and returns their offset, or -1 when the packet is shorter than that. */
  pop(length: number): number {
    const at = this.head;
    if (at + length > this.tail) return -1;
    this.head = at + length;
    return at;
  }

  /**
   * Appends `length` bytes without copying them: they stay in `ring` from `at` on until {@linkcode Packet.fill} fetches
   * them, or a device that gathers has sent them. The lender leaves them as they are for as long as it takes to hand the
   * packet to a device; whoever keeps the packet, or reads those bytes, fills it before.
   */
  borrow(ring: Uint8Array<ArrayBuffer>, at: number, length: number): void {
    this.lender = ring;
    this.lentAt = at;
    this.lentBytes = length;
    this.tail += length;
  }

  /** Fetches the bytes that were borrowed, where there are any, to their place in the slot. */
  fill(): void {
    const ring = this.lender;
    if (ring === null) return;
    this.lender = null;
    const { lentAt, lentBytes } = this;
    const at = this.tail - lentBytes;
    const first = Math.min(lentBytes, ring.length - lentAt);
    this.bytes.set(ring.subarray(lentAt, lentAt + first), at);
    if (first < lentBytes) this.bytes.set(ring.subarray(0, lentBytes - first), at + first);
  }

  /** The live bytes, as a view that is valid until the packet is released. */
  contents(): Uint8Array<ArrayBuffer> {
    this.fill();
    return this.bytes.subarray(this.head, this.tail);
  }

  /**
   * Some of the slot's bytes, as a view that is kept until another part is asked for: the segments of a flow begin at
   * the same place and are of the same size, so that next to none is made for each.
   */
  part(at: number, length: number): Uint8Array<ArrayBuffer> {
    const part = this.#part;
    if (part !== null && this.#partAt === at && part.length === length) return part;
    this.#partAt = at;
    return this.#part = this.bytes.subarray(at, at + length);
  }

  /** The slot from `at` to its end, as a view that is made once and kept: for system calls, which take a length too. */
  viewFrom(at: number): Uint8Array<ArrayBuffer> {
    return this.#views[at] ??= this.bytes.subarray(at);
  }

  /**
   * Adds an owner: the packet stays alive until each of them has released it.
   *
   * @throws {Error} If the packet was released: its slot may belong to another packet by now.
   */
  retain(): void {
    if (this.#owners <= 0) throw new Error("Cannot retain the packet: it has no owner left");
    this.#owners++;
  }

  /**
   * Gives up one ownership; the last one returns the slot to its pool.
   *
   * @throws {Error} If every owner has released it before.
   */
  release(): void {
    if (this.#owners <= 0) throw new Error("Cannot release the packet: it has no owner left");
    if (--this.#owners > 0) return;
    this.lender = null;
    this.#pool.take(this, this.#sizeClass);
  }

  /** An empty packet of the same pool, as {@linkcode PacketPool.allocate} makes it. */
  allocateLike(headroom: number, bytes: number): Packet | null {
    return this.#pool.allocate(headroom, bytes);
  }

  /** A copy of the live bytes in a packet of the same pool, or null when the pool is exhausted. */
  copy(): Packet | null {
    const copy = this.#pool.allocate(this.head, this.length);
    if (copy === null) return null;
    copy.bytes.set(this.contents(), copy.head);
    copy.tail = copy.head + this.length;
    copy.linkAt = this.linkAt;
    copy.networkAt = this.networkAt;
    copy.transportAt = this.transportAt;
    copy.family = this.family;
    copy.sourceAt = this.sourceAt;
    copy.destinationAt = this.destinationAt;
    copy.protocol = this.protocol;
    copy.trafficClass = this.trafficClass;
    copy.multicast = this.multicast;
    copy.looped = this.looped;
    copy.nic = this.nic;
    copy.arrivedAt = this.arrivedAt;
    copy.checksum = this.checksum;
    copy.checksumStart = this.checksumStart;
    copy.checksumOffset = this.checksumOffset;
    copy.segmentBytes = this.segmentBytes;
    return copy;
  }

  /** Called by the pool: makes the slot a fresh, empty packet whose window starts at `head`. */
  reset(head: number): void {
    this.head = head;
    this.tail = head;
    this.arrivedAt = 0;
    this.next = null;
    this.#owners = 1;
    this.forgetHeaders();
  }

  /**
   * Forgets everything about the packet but its bytes, as if a device had just received them: for links that hand a
   * sent packet over to its receiver.
   */
  forgetHeaders(): void {
    this.forgetPlaces();
    this.family = 0;
    this.checksum = ChecksumState.none;
    this.checksumStart = 0;
    this.checksumOffset = 0;
    this.segmentBytes = 0;
  }

  /**
   * As {@linkcode Packet.forgetHeaders}, but what is left to be done about the packet stays: its checksum, and its
   * segmentation with the family that it needs.
   */
  forgetPlaces(): void {
    this.linkAt = -1;
    this.networkAt = -1;
    this.transportAt = -1;
    this.sourceAt = -1;
    this.destinationAt = -1;
    this.protocol = -1;
    this.trafficClass = 0;
    this.multicast = false;
    this.looped = false;
    this.nic = -1;
  }
}

/** The free slots of one size. */
export interface SizeClass {
  /** Bytes of a slot, headroom included. */
  readonly slotBytes: number;
  /** Slots that are allocated together. */
  readonly slotsPerSlab: number;
  /** The slots that nobody owns. */
  readonly free: Packet[];
  /** Slots in all, free or not. */
  allocated: number;
}

/** Options of {@linkcode PacketPool}. */
export interface PacketPoolOptions {
  /** The most memory to hold, in bytes. Default 64 MiB. */
  limitBytes?: number;
}

/** A pool of packets in two sizes: one for frames of ordinary MTU, one for anything up to 64 KiB. */
export class PacketPool {
  /** Slot size of ordinary packets, headroom included, in bytes. */
  static readonly smallBytes: number = 2048;
  /** Slot size of large packets, headroom included, in bytes. */
  static readonly largeBytes: number = 65536 + 512;

  readonly #small: SizeClass = { slotBytes: PacketPool.smallBytes, slotsPerSlab: 128, free: [], allocated: 0 };
  readonly #large: SizeClass = { slotBytes: PacketPool.largeBytes, slotsPerSlab: 4, free: [], allocated: 0 };
  readonly #limitBytes: number;
  #heldBytes = 0;
  /** Requests refused because the limit was reached or no slot is that large. */
  exhausted: number = 0;

  /** Makes an empty pool; slabs are allocated as packets are asked for. */
  constructor(options: PacketPoolOptions = {}) {
    this.#limitBytes = options.limitBytes ?? 64 * 1024 * 1024;
  }

  /** Packets that are out of the pool. Zero when nothing is going on. */
  get inUse(): number {
    return this.#small.allocated - this.#small.free.length + this.#large.allocated - this.#large.free.length;
  }

  /** Memory that the pool holds, in bytes, whether in use or free. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /**
   * A packet with an empty window at `headroom` and room for `bytes` behind it, or null when the pool is exhausted
   * or no slot is that large.
   */
  allocate(headroom: number, bytes: number): Packet | null {
    const needed = headroom + bytes;
    const sizeClass = needed <= PacketPool.smallBytes ? this.#small : this.#large;
    if (needed > PacketPool.largeBytes || (sizeClass.free.length === 0 && !this.#grow(sizeClass))) {
      this.exhausted++;
      return null;
    }
    const packet = sizeClass.free.pop()!;
    packet.reset(headroom);
    return packet;
  }

  /** Called by {@linkcode Packet.release}. */
  take(packet: Packet, sizeClass: SizeClass): void {
    sizeClass.free.push(packet);
  }

  #grow(sizeClass: SizeClass): boolean {
    const { slotBytes, slotsPerSlab } = sizeClass;
    if (this.#heldBytes + slotBytes * slotsPerSlab > this.#limitBytes) return false;
    const slab = new Uint8Array(slotBytes * slotsPerSlab);
    this.#heldBytes += slab.length;
    sizeClass.allocated += slotsPerSlab;
    for (let slot = 0; slot < slotsPerSlab; slot++) {
      sizeClass.free.push(new Packet(this, sizeClass, slab.subarray(slot * slotBytes, (slot + 1) * slotBytes)));
    }
    return true;
  }
}

/** A first-in first-out queue of packets through their `next` field: no allocation. */
export class PacketQueue {
  #first: Packet | null = null;
  #last: Packet | null = null;
  /** Packets that wait. */
  length: number = 0;
  /** Their live bytes. */
  bytes: number = 0;

  /** The oldest packet, which stays in the queue, or null. */
  get first(): Packet | null {
    return this.#first;
  }

  /** Appends a packet and owns it. What it has borrowed is fetched: its lender may not wait for as long. */
  enqueue(packet: Packet): void {
    packet.fill();
    packet.next = null;
    if (this.#last === null) this.#first = packet;
    else this.#last.next = packet;
    this.#last = packet;
    this.length++;
    this.bytes += packet.length;
  }

  /** Removes and returns the oldest packet, or null. */
  dequeue(): Packet | null {
    const packet = this.#first;
    if (packet === null) return null;
    this.#first = packet.next;
    if (this.#first === null) this.#last = null;
    packet.next = null;
    this.length--;
    this.bytes -= packet.length;
    return packet;
  }

  /** Releases all packets that wait. */
  clear(): void {
    for (let packet = this.dequeue(); packet !== null; packet = this.dequeue()) packet.release();
  }
}
