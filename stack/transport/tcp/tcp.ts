/**
 * TCP as a module of the protocol graph: finds the connection that a segment belongs to, and makes new ones.
 *
 * @module
 */

import { addUint16, fold, sum } from "../../checksum.ts";
import type { Counters } from "../../counters.ts";
import { makeError } from "../../errors.ts";
import type { Networks } from "../../network/path.ts";
import { ChecksumState, type Packet, type PacketPool } from "../../packet.ts";
import { type ErrorEvent, type TransportProtocol, Verdict } from "../../protocol.ts";
import type { Random } from "../../random.ts";
import { add } from "../../sequence.ts";
import type { Timers } from "../../timers.ts";
import { type Endpoint, formatEndpoint } from "../endpoint.ts";
import { FlowTable } from "../flow_table.ts";
import { type Ports, Sharing } from "../ports.ts";
import { Acknowledgement } from "./acknowledgement.ts";
import { ActiveOpen } from "./active_open.ts";
import { ChallengeBudget } from "./challenge.ts";
import { congestionControlFactory } from "./congestion/algorithms.ts";
import type { AckSample, CongestionControlFactory } from "./congestion/control.ts";
import { optionsOffered, type TcpConfiguration, type TcpOptionsOffered } from "./configuration.ts";
import type { Connection } from "./connection.ts";
import { SpareTimers } from "./spare_timers.ts";
import type { TcpContext } from "./context.ts";
import { type TcpCounters, zeroTcpCounters } from "./counters.ts";
import {
  destinationPort,
  headerBytes,
  maximumHeaderBytes,
  minimumHeaderBytes,
  protocolNumber,
  sequenceNumber,
  sourcePort,
} from "./header.ts";
import { FastOpen, PendingFastOpens } from "./fast_open.ts";
import { SpareFlights } from "./flight.ts";
import { FlushQueue } from "./flush_queue.ts";
import { InitialSequence, type SequenceChooser } from "./isn.ts";
import { Listener } from "./listener.ts";
import { Listeners } from "./listeners.ts";
import { networkErrorArrives } from "./network_error.ts";
import { PassiveOpen } from "./passive_open.ts";
import { SpareReceiveBuffers } from "./receive_buffer.ts";
import { RingStorage } from "./ring.ts";
import type { RttEstimator } from "./rtt.ts";
import { Segment } from "./segment.ts";
import { segmentArrives } from "./segment_arrives.ts";
import { SegmentWriter } from "./segment_writer.ts";
import type { Sender } from "./send.ts";
import { checkConfiguration, checkSettings, defaultSettings } from "./settings.ts";
import { TimeWait, TimeWaitTable } from "./time_wait.ts";
import type { TcpTrace } from "./trace.ts";
import type { ConnectionSettings, ConnectRequest, Failure, ListenRequest, TcpUserCalls } from "./user.ts";

/** Connections that may wait to be accepted, unless the listener says otherwise. */
const defaultBacklog = 512;

/** What TCP works with. */
export interface TcpDependencies {
  /** Where packets come from. */
  pool: PacketPool;
  /** Timers and clock. */
  timers: Timers;
  /** Chance. */
  random: Random;
  /** The network protocols below. */
  networks: Networks;
  /** The port manager. */
  ports: Ports;
  /** Bytes in front of a payload that the headers of all layers need. */
  headroom: number;
  /** Where TCP's counters are registered, under `tcp`. */
  counters: Counters;
  /** Called when there is something to flush and no batch is under way. */
  wake: () => void;
}

/** TCP. */
export class Tcp implements TransportProtocol, TcpUserCalls, TcpContext<Connection> {
  /** `tcp` */
  readonly name = "tcp";
  /** 6 */
  readonly protocolNumber: number = protocolNumber;
  /** The most bytes that a header takes. */
  readonly headerBytes: number = maximumHeaderBytes;
  readonly timers: Timers;
  readonly spareTimers: SpareTimers;
  readonly random: Random;
  /** Storage of the rings. */
  readonly storage: RingStorage = new RingStorage();
  readonly spareFlights: SpareFlights = new SpareFlights(this.storage);
  readonly spareBuffers: SpareReceiveBuffers = new SpareReceiveBuffers(this.storage);
  readonly writer: SegmentWriter;
  readonly initialSequence: SequenceChooser;
  readonly congestionControl: CongestionControlFactory;
  readonly challenges: ChallengeBudget;
  readonly options: TcpOptionsOffered;
  readonly acknowledgement: Acknowledgement = new Acknowledgement();
  /** TCP Fast Open: cookies of our servers and of others. */
  readonly fastOpen: FastOpen;
  /** Connections in TIME-WAIT. */
  readonly timeWait: TimeWaitTable;
  /**
   * Who is asked about SYNs to where nobody listens, or null: they are then answered with RST. It looks at the packet,
   * of which it may keep a copy for {@linkcode Tcp.admit} or {@linkcode Tcp.refuse}, and returns false if it does not
   * want it.
   */
  interceptor: ((packet: Packet) => boolean) | null = null;
  /** Who watches, if anybody. */
  trace: TcpTrace | null = null;
  allowance: number = Infinity;
  flushFollows: boolean = false;
  answersWait: boolean = false;
  userCalls: number = 0;
  answerExpected: boolean = false;
  readonly counters: TcpCounters;

  readonly #ports: Ports;
  readonly #settings: Readonly<ConnectionSettings>;
  readonly #flows: FlowTable<Connection>;
  readonly #listeners = new Listeners();
  readonly #activeOpen: ActiveOpen;
  readonly #passiveOpen: PassiveOpen;
  readonly #segment = new Segment();
  readonly #flushQueue: FlushQueue;
  readonly #sample: { bytes: number; rtt: RttEstimator; now: number; sndUna: number; sndNxt: number };

  /** Wires TCP to what it works with. */
  constructor(dependencies: TcpDependencies, configuration: TcpConfiguration = {}) {
    const { pool, timers, random, networks, ports, headroom, counters, wake } = dependencies;
    this.timers = timers;
    this.spareTimers = new SpareTimers(timers);
    this.random = random;
    this.#ports = ports;
    this.#flushQueue = new FlushQueue(wake);
    this.counters = counters.register<TcpCounters>("tcp", zeroTcpCounters());
    this.writer = new SegmentWriter(pool, headroom);
    this.initialSequence = configuration.initialSequence ?? new InitialSequence(timers.clock, random);
    checkConfiguration(configuration);
    checkSettings({ congestionControl: configuration.congestionControl ?? "cubic", ...configuration.settings });
    this.congestionControl = congestionControlFactory(configuration.congestionControl ?? "cubic");
    this.challenges = new ChallengeBudget(random, configuration.unlimitedChallenges);
    this.options = optionsOffered(configuration);
    this.#settings = Object.freeze({ ...defaultSettings, ...configuration.settings });
    this.fastOpen = new FastOpen(timers.clock, random);
    if (configuration.fastOpenKeys !== undefined) this.fastOpen.cookies.useKeys(configuration.fastOpenKeys);
    this.#flows = new FlowTable(random);
    this.#passiveOpen = new PassiveOpen(this, networks, this.#flows, configuration.synCookies ?? true);
    const { timeWait = 60_000 } = configuration;
    this.timeWait = new TimeWaitTable(this, timeWait);
    this.#activeOpen = new ActiveOpen(this, networks, ports, this.#flows, this.timeWait);
    this.#sample = { bytes: 0, rtt: null as unknown as RttEstimator, now: 0, sndUna: 0, sndNxt: 0 };
  }

  /** All connections that are neither listening nor in TIME-WAIT. */
  connections(): Connection[] {
    return this.#flows.values();
  }

  /** All listeners. */
  listeners(): Listener[] {
    return this.#listeners.values();
  }

  /** As {@linkcode TcpUserCalls.connect}. */
  connect(request: ConnectRequest): Connection {
    return this.#activeOpen.connect(request, this.#merge(request.settings));
  }

  /** As {@linkcode TcpUserCalls.listen}: RFC 9293 section 3.9.1.1 has it change no other connection. */
  listen(request: ListenRequest): Listener {
    const { address, port } = request.local;
    const settings = this.#merge(request.settings);
    const sharing = request.reuse ? Sharing.reuse : Sharing.exclusive;
    const portRequest = { protocol: protocolNumber, address, sharing };
    const reservation = port === 0 ? this.#ports.reserveEphemeral(portRequest) : this.#ports.reserve(portRequest, port);
    if (reservation === null) {
      throw makeError(
        "AddrInUse",
        port === 0
          ? `Cannot listen on ${address}: all ephemeral ports are taken`
          : `Cannot listen on ${formatEndpoint(request.local)}: the port is in use`,
      );
    }
    const listener = new Listener(
      { address, port: reservation.port },
      request.backlog ?? defaultBacklog,
      settings,
      this.counters,
      (closed) => {
        reservation.release();
        this.#listeners.remove(closed);
      },
    );
    const { fastOpen = false } = request;
    if (fastOpen !== false) {
      listener.fastOpen = new PendingFastOpens(this.timers.clock, fastOpen === true ? {} : fastOpen);
    }
    this.#listeners.add(listener);
    return listener;
  }

  /** Ends everything at once: listeners, connections, TIME-WAIT. */
  close(): void {
    // What users have written goes out before the resets.
    this.flush();
    for (const listener of this.listeners()) listener.close();
    const failure: Failure = { name: "ConnectionAborted", message: "The stack has been closed" };
    for (const connection of this.connections()) connection.abort(failure);
    this.timeWait.clear();
  }

  /** As {@linkcode TransportProtocol.pop}. */
  pop(packet: Packet): Verdict {
    const { counters } = this;
    const { view, head, tail } = packet;
    counters.received++;
    packet.transportAt = head;
    if (tail - head < minimumHeaderBytes) {
      counters.truncated++;
      return drop(packet);
    }
    const header = headerBytes(view, head);
    if (header < minimumHeaderBytes || head + header > tail) {
      counters.truncated++;
      return drop(packet);
    }
    if (packet.checksum === ChecksumState.none && !isIntact(packet)) {
      counters.badChecksum++;
      return drop(packet);
    }
    const localPort = destinationPort(view, head);
    const remotePort = sourcePort(view, head);
    // RFC 9293 section 3.9.2.3: TCP speaks to single hosts only.
    if (packet.multicast || localPort === 0 || remotePort === 0) {
      counters.badAddress++;
      return drop(packet);
    }
    const family = packet.family === 6 ? 6 : 4;
    const { sourceAt, destinationAt } = packet;
    const segment = this.#segment;
    segment.load(packet);
    const connection = this.#flows.find(view, family, destinationAt, localPort, sourceAt, remotePort);
    if (connection !== null) {
      this.trace?.segment?.(connection, "received", packet);
      segmentArrives(connection, segment);
      packet.release();
      return Verdict.done;
    }
    let smallestSequence: number | null = null;
    const listener = this.#listeners.find(packet, localPort);
    const waiting = this.timeWait.find(view, family, destinationAt, localPort, sourceAt, remotePort);
    if (waiting !== null) {
      if (waiting.connection !== null) this.trace?.segment?.(waiting.connection, "received", packet);
      if (!this.timeWait.segmentArrives(waiting, segment, listener !== null || this.interceptor !== null)) {
        packet.release();
        return Verdict.done;
      }
      smallestSequence = add(waiting.sndNxt, 65_535);
    }
    if (listener === null && segment.syn && !segment.ack && !segment.rst && this.interceptor?.(packet)) {
      packet.release();
      return Verdict.done;
    }
    const verdict = listener === null
      ? this.#passiveOpen.reset(segment)
      : this.#passiveOpen.arrives(listener, segment, smallestSequence);
    packet.release();
    return verdict;
  }

  /**
   * Begins the handshake that a SYN asks for, which an interceptor has kept, from the very address that it was sent to.
   * `outcome` is called with the connection when the handshake is complete, or with null if it fails. Consumes the
   * packet.
   */
  admit(
    packet: Packet,
    local: Endpoint,
    settings: Partial<ConnectionSettings>,
    outcome: (connection: Connection | null) => void,
  ): void {
    const listener = new Listener(local, 1, this.#merge(settings), this.counters, () => {});
    listener.onAcceptable = () => outcome(listener.accept());
    listener.onEnded = () => outcome(null);
    this.#segment.load(packet);
    const verdict = this.#passiveOpen.arrives(listener, this.#segment, null);
    packet.release();
    if (verdict === Verdict.dropped) outcome(null);
  }

  /** Answers a SYN, which an interceptor has kept, with RST. Consumes the packet. */
  refuse(packet: Packet): void {
    this.#segment.load(packet);
    this.#passiveOpen.reset(this.#segment);
    packet.release();
  }

  /** As {@linkcode TransportProtocol.control}: errors reach their connection (RFC 9293 section 3.9.2.2). */
  control(event: ErrorEvent): void {
    const { packet } = event;
    const { view, transportAt } = packet;
    const family = packet.family === 6 ? 6 : 4;
    const connection = this.#flows.find(
      view,
      family,
      packet.sourceAt,
      sourcePort(view, transportAt),
      packet.destinationAt,
      destinationPort(view, transportAt),
    );
    if (connection === null) return;
    networkErrorArrives(connection, event.kind, sequenceNumber(view, transportAt), event.mtu);
  }

  /**
   * Sends what became due in the present batch. To be called after each batch of packets and timers. At most about
   * `bytes` are then sent until the next call, whoever asks for it; what is left over waits for that, and `wake` is called.
   */
  flush(bytes: number = Infinity): void {
    this.allowance = bytes;
    this.flushFollows = this.answersWait = false;
    this.#flushQueue.run(bytes === Infinity);
  }

  /** As {@linkcode TcpContext.queueFlush}. */
  queueFlush(connection: Connection): void {
    this.#flushQueue.add(connection);
  }

  /** As {@linkcode TcpContext.queueAnswer}. */
  queueAnswer(connection: Connection): void {
    this.answersWait = true;
    this.#flushQueue.add(connection);
  }

  /** As {@linkcode TcpContext.flushNow}. The clock stands still meanwhile: each layer would ask for the time otherwise. */
  flushNow(connection: Connection): void {
    const { clock } = this.timers;
    try {
      clock.hold?.();
      connection.flush();
    } finally {
      clock.release?.();
    }
  }

  /** As {@linkcode TcpContext.forget}. */
  forget(connection: Connection): void {
    this.#flows.remove(connection);
  }

  /** As {@linkcode TcpContext.enterTimeWait}. */
  enterTimeWait(connection: Connection): void {
    const entry = new TimeWait(connection, connection.reservation);
    connection.reservation = null;
    connection.finish(null);
    this.timeWait.add(entry);
  }

  /** As {@linkcode TcpContext.sampleFor}. */
  sampleFor(sender: Sender, bytes: number, now: number): AckSample {
    const sample = this.#sample;
    sample.bytes = bytes;
    sample.rtt = sender.rtt;
    sample.now = now;
    sample.sndUna = sender.sndUna;
    sample.sndNxt = sender.sndNxt;
    return sample;
  }

  #merge(settings: Partial<ConnectionSettings> | undefined): Readonly<ConnectionSettings> {
    // Who changes nothing shares them.
    if (settings === undefined || Object.keys(settings).length === 0) return this.#settings;
    checkSettings(settings);
    return { ...this.#settings, ...settings };
  }
}

/** Whether a received segment's checksum is right, pseudo-header included. */
function isIntact(packet: Packet): boolean {
  const { view, head, tail, sourceAt, family } = packet;
  const addresses = sum(view, sourceAt, family === 6 ? 32 : 8);
  const pseudo = addUint16(tail - head, addUint16(protocolNumber, addresses));
  return fold(sum(view, head, tail - head, pseudo)) === 0xffff;
}

function drop(packet: Packet): Verdict {
  packet.release();
  return Verdict.dropped;
}
