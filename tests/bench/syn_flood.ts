/**
 * What a flood of SYNs costs those who are connected: one flow, with a flood on its listener and without, all in one
 * process and on one processor, and honest clients that connect meanwhile. Rates are for each second of processor time:
 * the stacks never sleep here, and what else the machine does changes nothing.
 *
 * @module
 */

import process from "node:process";
import { createWire, IpAddress, type MacAddress, Stack } from "../../mod.ts";
import { addUint16, checksum, sum } from "../../stack/checksum.ts";
import type { Device, DeviceHost } from "../../stack/link/device.ts";
import { DeviceWrapper } from "../../stack/link/device_wrapper.ts";
import { ethernetHeaderBytes, writeEthernetHeader } from "../../stack/link/ethernet_header.ts";
import { EtherType } from "../../stack/link/nic.ts";
import { Ipv4Field, ipv4HeaderBytes, writeIpv4Header } from "../../stack/network/ipv4_header.ts";
import type { Packet } from "../../stack/packet.ts";
import { Verdict } from "../../stack/protocol.ts";
import { Flag, TcpField, writeHeader } from "../../stack/transport/tcp/header.ts";
import type { Benchmark, Figures } from "./benchmark.ts";
import { serverAddress } from "./stack_pair.ts";

const port = 80;
/** SYNs per second of processor time. */
const rate = 100_000;
/** Milliseconds of processor time in which code is compiled and windows open, and those that count. */
const warmUp = 1000;
const counted = 3000;
/** How often the processor time is asked for, which takes a while, in milliseconds. */
const interval = 5;
/**
 * How often an honest client connects, in milliseconds, and how long it waits. A SYN for which the flow has left no room in
 * the link's queue is sent again too late for that, now and then without a flood, too.
 */
const pause = 20;
const patience = 1000;

/** The options of a SYN as most systems send it: maximum segment size, SACK, timestamps, window scale. */
const synOptions = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7];
const tcpBytes = TcpField.options + synOptions.length;
const packetBytes = ipv4HeaderBytes + tcpBytes;
const frameBytes = ethernetHeaderBytes + packetBytes;
const networkAt = ethernetHeaderBytes;
const transportAt = networkAt + ipv4HeaderBytes;

/** SYNs that wait for the stack, at most. */
const longestQueue = 1000;

/** The first 16 bits of all forged sources, which are behind the gateway. */
const forgedPrefix = 0x0b00;

/**
 * The server's end of its link, where SYNs arrive in between the other frames, each from another address and port. What is
 * sent to those gets lost.
 */
class FloodedDevice extends DeviceWrapper {
  /** SYNs that are due. */
  due = 0;
  /** SYNs that were handed to the stack. */
  sent = 0;
  /** What the stack has answered. */
  answers = 0;
  #host!: DeviceHost;
  #turn = false;
  readonly #frame = new Uint8Array(frameBytes);
  readonly #view = new DataView(this.#frame.buffer);

  /** The SYNs have the hardware address of the gateway. */
  constructor(inner: Device, gateway: MacAddress) {
    super(inner);
    const view = this.#view;
    writeEthernetHeader(view, 0, this.address!, gateway, EtherType.ipv4);
    const source = forgedPrefix * 0x1_0000;
    const target = IpAddress.parse(serverAddress).words[0]!;
    writeIpv4Header(view, networkAt, 0, packetBytes, 0, 0, 64, 6, source, target);
    writeHeader(view, transportAt, 0, port, 0, 0, tcpBytes, Flag.syn, 65535);
    this.#frame.set(synOptions, transportAt + TcpField.options);
    this.#vary(0, 1024);
    view.setUint16(networkAt + Ipv4Field.checksum, checksum(view, networkAt, ipv4HeaderBytes));
    const pseudoSum = addUint16(6, addUint16(tcpBytes, sum(view, networkAt + Ipv4Field.source, 8)));
    view.setUint16(transportAt + TcpField.checksum, checksum(view, transportAt, tcpBytes, pseudoSum));
  }

  override attach(host: DeviceHost): void {
    super.attach(host);
    this.#host = host;
  }

  /** Lets so many more arrive; what the stack does not take in time is lost, as in the queue of a network card. */
  release(count: number, most = longestQueue): void {
    this.due = Math.min(this.due + count, most);
    if (this.due >= 1) this.#host.wake();
  }

  /** A SYN and another frame in turn, as long as there are both. */
  override receive(): Packet | null {
    this.#turn = !this.#turn;
    if (this.due < 1) return super.receive();
    return this.#turn ? super.receive() ?? this.#forge() : this.#forge();
  }

  override transmit(packet: Packet): Verdict {
    const { view, head } = packet;
    if (view.getUint16(head + networkAt + Ipv4Field.destination) !== forgedPrefix) return super.transmit(packet);
    this.answers++;
    packet.release();
    return Verdict.done;
  }

  #forge(): Packet | null {
    const packet = this.#host.pool.allocate(this.#host.headroom, frameBytes);
    if (packet === null) return null;
    this.due--;
    const number = this.sent++;
    this.#vary(Math.imul(number, 0x9e37_79b1) >>> 16, 1024 + number % 60_000);
    packet.bytes.set(this.#frame, packet.head);
    packet.tail = packet.head + frameBytes;
    return packet;
  }

  /** Puts another source into the SYN, and its complement into what may be anything: the checksums stay as they are. */
  #vary(address: number, port: number): void {
    const view = this.#view;
    view.setUint16(networkAt + Ipv4Field.source + 2, address);
    view.setUint16(networkAt + Ipv4Field.identification, ~address);
    view.setUint16(transportAt + TcpField.sourcePort, port);
    view.setUint32(transportAt + TcpField.sequence, (~address << 16) | (~port & 0xffff));
  }
}

/** Processor time that this process has used, in milliseconds. */
function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** A flood of `rate` SYNs a second that begins at once; `stop` ends it. */
function flood(device: FloodedDevice, rate: number): { stop(): void } {
  let last = processorTime();
  const timer = setInterval(() => {
    const now = processorTime();
    device.release((now - last) * rate / 1000);
    last = now;
  }, interval);
  return { stop: () => clearInterval(timer) };
}

/** Connects again and again, and says how often that went well and how often not. */
async function connectHonestly(client: Stack, signal: AbortSignal): Promise<{ good: number; bad: number }> {
  let good = 0;
  let bad = 0;
  while (!signal.aborted) {
    try {
      const conn = await client.connect({ hostname: serverAddress, port, signal: AbortSignal.timeout(patience) });
      await conn.write(new Uint8Array(1));
      if (await conn.read(new Uint8Array(1)) === 1) good++;
      conn.close();
    } catch {
      bad++;
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
  return { good, bad };
}

/** Runs `body` with two stacks on a wire, of which the server is flooded and the client is its gateway. */
async function withFlooded<Result>(
  body: (client: Stack, server: Stack, device: FloodedDevice) => Promise<Result>,
): Promise<Result> {
  await using client = new Stack();
  await using server = new Stack();
  const [clientEnd, serverEnd] = createWire();
  const device = new FloodedDevice(serverEnd, clientEnd.address!);
  client.attach(clientEnd, { addresses: ["10.0.0.1/24"] });
  server.attach(device, { addresses: [`${serverAddress}/24`], gateway: "10.0.0.1" });
  return await body(client, server, device);
}

/** One flow, which the first client sends, while the others are answered with a byte. */
function measure(flooded: boolean): Promise<Figures> {
  return withFlooded(async (client, server, device) => {
    const listener = server.listen({ port });
    const sender = await client.connect({ hostname: serverAddress, port });
    const receiver = await listener.accept();
    const serving = (async () => {
      for await (const conn of listener) {
        conn.read(new Uint8Array(1)).then(() => conn.write(new Uint8Array(1))).then(() => conn.close(), () => {});
      }
    })();
    const ending = new AbortController();
    const flooding = flood(device, flooded ? rate : 0);
    const sending = (async () => {
      const buffer = new Uint8Array(1 << 18);
      while (!ending.signal.aborted) await sender.write(buffer);
      sender.close();
    })();
    const honest = connectHonestly(client, ending.signal);
    const buffer = new Uint8Array(1 << 18);
    const read = async (duration: number): Promise<number> => {
      const startedAt = processorTime();
      let elapsed = 0;
      // Asking takes as long as many a read.
      const timer = setInterval(() => elapsed = processorTime() - startedAt, interval);
      let bytes = 0;
      while (elapsed < duration) bytes += await receiver.read(buffer) ?? 0;
      clearInterval(timer);
      return bytes * 8 / elapsed / 1e6;
    };
    await read(warmUp);
    const { answers } = device;
    const startedAt = processorTime();
    const gigabits = await read(counted);
    const answered = (device.answers - answers) * 1000 / (processorTime() - startedAt);
    ending.abort();
    while (await receiver.read(buffer) !== null);
    await sending;
    const { good, bad } = await honest;
    flooding.stop();
    listener.close();
    await serving;
    return { gigabits, answered, honest: good * 100 / (good + bad) };
  });
}

const alone = 300_000;

/** Microseconds of processor time for a SYN that is answered with a cookie, with nothing else to do. */
function cost(): Promise<Figures> {
  return withFlooded(async (_client, server, device) => {
    using _listener = server.listen({ port });
    const answer = async (count: number) => {
      const last = device.answers + count;
      device.release(count, count);
      while (device.answers < last) await new Promise((resolve) => setTimeout(resolve, 1));
    };
    // The first fill the SYN queue, and those answers come again.
    await answer(alone);
    const before = processorTime();
    await answer(alone);
    return { microseconds: (processorTime() - before) * 1000 / alone };
  });
}

/** A flow and honest clients under a SYN flood. */
export const synFloodBenchmark: Benchmark = {
  name: "syn-flood",
  sides: {
    flooded: { measure: () => measure(true) },
    quiet: { measure: () => measure(false) },
    alone: { measure: cost },
  },
  rows: [
    {
      label: "one flow, two stacks in one process, under 100,000 SYNs a second",
      unit: "Gbit/s",
      value: ["flooded", "gigabits"],
      against: ["quiet", "gigabits"],
      goal: { atLeast: 0.8 },
    },
    { label: "  SYNs answered", unit: "1/s", value: ["flooded", "answered"], goal: { atLeast: 0.9 * rate } },
    {
      label: "  honest clients that connect within a second",
      unit: "%",
      value: ["flooded", "honest"],
      goal: { atLeast: 100 },
    },
    { label: "  processor time for a SYN", unit: "us", value: ["alone", "microseconds"], goal: { atMost: 2 } },
  ],
};
