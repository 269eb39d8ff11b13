/**
 * A learning bridge (IEEE 802.1D section 7): joins Ethernet links to one.
 *
 * @module
 */

import { MacAddress } from "../address.ts";
import type { Clock } from "../clock.ts";
import { type Packet, PacketPool } from "../packet.ts";
import { Verdict } from "../protocol.ts";
import type { Random } from "../random.ts";
import type { Timers } from "../timers.ts";
import { TokenBucket } from "../token_bucket.ts";
import type { Device } from "./device.ts";
import { EthernetField, ethernetHeaderBytes, isGroupMacAt, isStationMacAt } from "./ethernet_header.ts";
import { StationTable } from "./station_table.ts";
import { createWire, type WireOptions } from "./wire.ts";

/** Frames that are taken from one port before the others have their turn. */
const batchFrames = 64;

/** Bytes in front of received frames, so that any device can put its own header there. */
const headroom = 128;

/** 01:80:c2:00:00:00 to 0f: for the bridge itself, never for the stations behind it (IEEE 802.1D section 7.12.6). */
const reserved = { high: 0x0180, low: 0xc200_0000, mask: 0xffff_fff0 } as const;

/** What a bridge is like. */
export interface BridgeSettings {
  /** How long a station is remembered that is not heard of, in milliseconds. Default 300,000. */
  maximumAge?: number;
  /** The most stations that are remembered, rounded up. Default 4096. */
  capacity?: number;
  /**
   * Frames to everybody, to groups and to unknown stations that one port may have flooded: at once, and a second on
   * average. What a loop outside the bridge makes of them ends here. Default 1000 and 1000.
   */
  floodLimit?: { burst: number; perSecond: number };
}

/** What a bridge is wired to. */
export interface BridgeContext {
  /** Timers and clock. */
  timers: Timers;
  /** Where unpredictable numbers come from. */
  random: Random;
  /** Called when frames have become available without a poller noticing. */
  wake: () => void;
}

/** What a port of a bridge counts. */
export interface BridgePortCounters {
  /** Frames received. */
  received: number;
  /** Frames sent. */
  sent: number;
  /** Received frames that went to all other ports. */
  flooded: number;
  /** Dropped on receiving: more to be flooded than one port may have. */
  floodLimited: number;
  /** Dropped on receiving: the receiver is on the same port. */
  filtered: number;
  /** Dropped on receiving: too short, or from what can be no station. */
  malformed: number;
  /** Dropped on receiving: meant for bridges. */
  reserved: number;
  /** Dropped on sending: larger than the port's MTU. */
  oversized: number;
  /** Dropped on sending: the device did not take it, or there was no packet for a copy. */
  sendDropped: number;
}

/** One port of a bridge. */
export interface BridgePort {
  /** Its place in {@linkcode Bridge.ports}. */
  readonly index: number;
  /** What carries its frames. */
  readonly device: Device;
  /** What it counted. */
  readonly counters: BridgePortCounters;
}

/** A station that a bridge knows. */
export interface BridgeStation {
  /** Its Ethernet address. */
  readonly address: MacAddress;
  /** The port that it is behind. */
  readonly port: BridgePort;
  /** Milliseconds since it was last heard of. */
  readonly age: number;
}

class Port implements BridgePort {
  readonly index: number;
  readonly device: Device;
  /** Limits what is flooded. */
  readonly floods: TokenBucket;
  readonly counters: BridgePortCounters = {
    received: 0,
    sent: 0,
    flooded: 0,
    floodLimited: 0,
    filtered: 0,
    malformed: 0,
    reserved: 0,
    oversized: 0,
    sendDropped: 0,
  };

  constructor(index: number, device: Device, floods: TokenBucket) {
    this.index = index;
    this.device = device;
    this.floods = floods;
  }

  /** Sends a frame. Consumes the packet. */
  send(packet: Packet): void {
    if (packet.length - ethernetHeaderBytes > this.device.mtu) {
      this.counters.oversized++;
      packet.release();
      return;
    }
    if (this.device.transmit(packet) === Verdict.dropped) this.counters.sendDropped++;
    else this.counters.sent++;
  }
}

/**
 * What a bridge does with frames: it learns behind which port a station is, sends frames there only, and floods what is
 * for many or for unknown ones. It knows no spanning tree: its ports must not be joined to each other outside.
 */
export class LearningBridge {
  readonly #timers: Timers;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #wake: () => void;
  readonly #pool = new PacketPool();
  readonly #ports: Port[] = [];
  readonly #stations: StationTable;
  readonly #floodLimit: { burst: number; perSecond: number };

  /** A bridge without ports. */
  constructor(context: BridgeContext, settings: BridgeSettings = {}) {
    const { maximumAge = 300_000, capacity = 4096, floodLimit = { burst: 1000, perSecond: 1000 } } = settings;
    this.#timers = context.timers;
    this.#clock = context.timers.clock;
    this.#random = context.random;
    this.#wake = context.wake;
    this.#stations = new StationTable(capacity, maximumAge, context.random.uint32());
    this.#floodLimit = floodLimit;
  }

  /** The ports, in the order in which they were made. */
  get ports(): readonly BridgePort[] {
    return this.#ports;
  }

  /**
   * Makes a device a port, and takes it over: closing the bridge closes it.
   *
   * @throws {TypeError} If its frames are no Ethernet frames.
   */
  add(device: Device): BridgePort {
    if (device.medium !== "ethernet") {
      throw new TypeError(`Cannot add "${device.name}" to a bridge: it carries IP without Ethernet; use a TAP device`);
    }
    const { burst, perSecond } = this.#floodLimit;
    const port = new Port(this.#ports.length, device, new TokenBucket(this.#clock, perSecond, burst));
    device.attach({
      pool: this.#pool,
      headroom,
      timers: this.#timers,
      wake: this.#wake,
      linkChanged: () => this.#stations.forget(port.index),
    });
    this.#ports.push(port);
    return port;
  }

  /** Makes a port for a stack, and returns the device to attach. Its Ethernet address is random unless given. */
  connect(options: Omit<WireOptions, "medium" | "addresses"> & { mac?: MacAddress } = {}): Device {
    const { mac = MacAddress.local(this.#random.uint32(), this.#random.uint32()), ...wire } = options;
    const name = `port${this.#ports.length}`;
    const [inside, outside] = createWire({ names: [name, name], ...wire, addresses: [mac, mac] });
    this.add(inside);
    return outside;
  }

  /** The stations that are known. */
  stations(): BridgeStation[] {
    return this.#stations.list(this.#clock.now()).map(({ address, port, age }) => ({
      address: macOf(address),
      port: this.#ports[port]!,
      age,
    }));
  }

  /** Passes on the frames that have arrived, up to a limit, and returns how many there were. */
  step(): number {
    let handled = 0;
    for (let index = 0; index < this.#ports.length; index++) {
      const port = this.#ports[index]!;
      if (port.device.wantsWrite) port.device.flush();
      for (let frame = 0; frame < batchFrames; frame++) {
        const packet = port.device.receive();
        if (packet === null) break;
        this.#pass(packet, port);
        handled++;
      }
    }
    return handled;
  }

  /** Closes the devices. */
  close(): void {
    for (const { device } of this.#ports) device.close();
  }

  #pass(packet: Packet, from: Port): void {
    const { view, head } = packet;
    const { counters } = from;
    counters.received++;
    if (packet.length < ethernetHeaderBytes || !isStationMacAt(view, head + EthernetField.source)) {
      counters.malformed++;
      return packet.release();
    }
    const now = this.#clock.now();
    this.#stations.learn(view, head + EthernetField.source, from.index, now);
    const destination = head + EthernetField.destination;
    if (isReservedAt(view, destination)) {
      counters.reserved++;
      return packet.release();
    }
    const to = isGroupMacAt(view, destination) ? -1 : this.#stations.find(view, destination, now);
    if (to < 0) return this.#flood(packet, from);
    if (to !== from.index) return this.#ports[to]!.send(packet);
    counters.filtered++;
    packet.release();
  }

  #flood(packet: Packet, from: Port): void {
    if (!from.floods.take()) {
      from.counters.floodLimited++;
      return packet.release();
    }
    from.counters.flooded++;
    for (let index = 0; index < this.#ports.length; index++) {
      const port = this.#ports[index]!;
      if (port === from) continue;
      const copy = packet.copy();
      if (copy === null) port.counters.sendDropped++;
      else port.send(copy);
    }
    packet.release();
  }
}

function isReservedAt(view: DataView, at: number): boolean {
  return view.getUint16(at) === reserved.high && (view.getUint32(at + 2) & reserved.mask) >>> 0 === reserved.low;
}

function macOf(bits: number): MacAddress {
  const bytes = Uint8Array.from({ length: 6 }, (_, place) => Math.floor(bits / 2 ** (8 * (5 - place))));
  return MacAddress.fromBytes(bytes);
}
