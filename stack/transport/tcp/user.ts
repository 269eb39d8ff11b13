/**
 * The user/TCP interface (RFC 9293 section 3.9.1): what a socket layer asks of TCP and is told by it. All calls are
 * synchronous and never wait; the observer is told when a call that could not be served may be tried again.
 *
 * @module
 */

import type { Nic } from "../../link/nic.ts";
import type { IpAddress } from "../../address.ts";
import type { ErrorName } from "../../errors.ts";
import type { Endpoint } from "../endpoint.ts";
import type { CongestionControlName } from "./congestion/algorithms.ts";
import type { CongestionControlFactory } from "./congestion/control.ts";
import type { FastOpenListenOptions } from "./fast_open.ts";
import type { State } from "./state.ts";

/** Why a connection ended other than by a regular close. */
export interface Failure {
  /** The error class for the user. */
  readonly name: ErrorName;
  /** What happened, as one sentence without the connection's addresses. */
  readonly message: string;
}

/** What a connection tells its user. Calls come in the middle of packet handling: note it and return. */
export interface ConnectionObserver {
  /** The connection has become established. */
  established(): void;
  /** In-order data or the end of the stream can be received. */
  readable(): void;
  /** Whether somebody waits for that. */
  readonly awaitsData?: boolean;
  /** There is room to send again, or all that was sent has been acknowledged. */
  writable(): void;
  /** The connection is over; `failure` is null when both sides closed regularly. Called exactly once. */
  closed(failure: Failure | null): void;
}

/** Settings of a connection; each may be changed at any time with {@linkcode UserConnection.configure}. */
export interface ConnectionSettings {
  /** Send small segments at once (RFC 9293 section 3.7.4, Nagle's algorithm off). Default false. */
  noDelay: boolean;
  /**
   * Hold segments that are not full back until this is unset, our side is closed, or 200 ms have passed: for headers and
   * bodies that are written one after the other. Goes before `noDelay`. Default false.
   */
  cork: boolean;
  /** Spread what the congestion window allows over the round trip instead of sending bursts. Default true. */
  pacing: boolean;
  /**
   * Go on with smaller segments when full ones time out again and again and no router says why (RFC 4821), and try
   * larger ones again later. Default true.
   */
  pathMtuProbing: boolean;
  /** Probe an idle peer (RFC 9293 section 3.8.4). Default false. */
  keepAlive: boolean;
  /** Idle milliseconds before the first keep-alive probe. Default 7,200,000. */
  keepAliveIdle: number;
  /** Milliseconds between keep-alive probes. Default 75,000. */
  keepAliveInterval: number;
  /** Unanswered keep-alive probes until the connection is given up. Default 9. */
  keepAliveCount: number;
  /**
   * Milliseconds that sent data may stay unacknowledged before the connection is given up (RFC 5482); 0 for the
   * default, which is a number of retransmissions.
   */
  userTimeout: number;
  /**
   * Seconds that a connection which its user has closed may take to deliver what was sent, and to be closed by the peer
   * as well; afterwards it ends, by RST if something is not acknowledged. 0 resets it at once and drops what waits. Null,
   * the default, gives it as long as it makes progress.
   */
  linger: number | null;
  /** Most bytes that wait in the send buffer: it takes no more than half a megabyte, or twice what is in the network. Default 4 MiB. */
  sendBufferBytes: number;
  /** Most bytes that wait in the receive buffer: what the receive window can grow to. Default 4 MiB. */
  receiveBufferBytes: number;
  /** The receive window of a new connection in bytes, as far as the buffer allows it. Default 65,535. */
  initialReceiveWindow: number;
  /**
   * Segments that are acknowledged at once at the start of a flow, so that the peer's slow start is not held back.
   * Default 16. Changing it grants that many anew; 0 delays acknowledgements from now on.
   */
  quickAcknowledgements: number;
  /** Milliseconds until the first retransmission before there is a round-trip sample (RFC 6298 section 2). Default 1000. */
  initialTimeout: number;
  /**
   * How often our SYN is sent again, each time after twice as long, until connecting is given up (RFC 9293
   * section 3.8.3). Default 7: after 247 s, as three minutes are the least.
   */
  synRetransmissions: number;
  /** Smallest retransmission time-out in milliseconds. Default 200. */
  minimumTimeout: number;
  /**
   * Largest payload, in bytes, of the segments that we ask for in our SYN and that we send, options included; 0, the
   * default, for what the path carries.
   */
  maximumSegmentBytes: number;
  /**
   * The congestion control algorithm: `cubic`, `reno`, or a function that makes the state of one of your own. Null, the
   * default, for the stack's. Changing it keeps the congestion window.
   */
  congestionControl: CongestionControlName | CongestionControlFactory | null;
  /** TTL or hop limit of what is sent, 1 to 255. Default 64. */
  timeToLive: number;
  /** Type of service or traffic class of what is sent. Default 0. */
  trafficClass: number;
}

/**
 * What is known of a connection, for people and programs that watch it. Sequence numbers are absolute; times are
 * milliseconds, moments milliseconds of the stack's clock, sizes bytes, rates bytes a second.
 */
export interface TcpInfo {
  /** The state's name as in RFC 9293, for example `ESTABLISHED`. */
  state: string;
  /** Smoothed round-trip time in milliseconds; 0 before the first sample. */
  rtt: number;
  /** Round-trip time variation in milliseconds. */
  rttVariance: number;
  /** Smallest round-trip time seen in milliseconds; Infinity before the first sample. */
  rttMin: number;
  /** The latest round-trip time sample in milliseconds; 0 before the first. */
  rttLatest: number;
  /** Retransmission time-out in milliseconds, without back-off. */
  rto: number;
  /** How often the retransmission time-out has been doubled in a row. */
  backoff: number;
  /** Congestion window in bytes. */
  congestionWindow: number;
  /** Slow-start threshold in bytes; Infinity while unknown. */
  slowStartThreshold: number;
  /** Name of the congestion control algorithm. */
  congestionControl: string;
  /** `open`, `disorder`, `recovery` or `loss`. */
  congestionState: string;
  /** Bytes that are believed to be in the network. */
  bytesInFlight: number;
  /** The pace at which the congestion window is used, in bytes a second; Infinity where nothing is held back. */
  pacingRate: number;
  /** Bytes a second that the peer received in the last round trip that was full of data; 0 before the first. */
  deliveryRate: number;
  /** Payload bytes of a full segment that we send. */
  sendMss: number;
  /** The maximum segment size that the peer announced, in bytes; 0 before its SYN. */
  peerMss: number;
  /** Payload bytes of the largest segment that the peer has sent; 536 before it has. */
  receiveMss: number;
  /** The largest packet that the path is believed to carry, in bytes with the IP header. */
  pathMtu: number;
  /** The peer's window in bytes, unscaled. */
  sendWindow: number;
  /** Shift count of the windows that the peer announces. */
  sendWindowScale: number;
  /** Oldest unacknowledged sequence number, SND.UNA. */
  sndUna: number;
  /** Next sequence number to send, SND.NXT. */
  sndNxt: number;
  /** Bytes that wait in the send buffer, sent or not. */
  sendQueued: number;
  /** Bytes that wait in the send buffer and have not been sent once. */
  sendUnsent: number;
  /** Next sequence number expected, RCV.NXT. */
  rcvNxt: number;
  /** Right edge that was announced: RCV.NXT plus RCV.WND. */
  rightEdge: number;
  /** The window that is announced, in bytes. */
  receiveWindow: number;
  /** Shift count of the windows that we announce. */
  receiveWindowScale: number;
  /** Bytes that wait in the receive buffer in order. */
  receiveQueued: number;
  /** Bytes that wait in the receive buffer behind a hole. */
  receiveOutOfOrder: number;
  /**
   * Bytes that are still to be read, come or not, until the end of what the peer marks as urgent (RFC 9293
   * section 3.8.5); 0 without any. They are delivered in their place.
   */
  receiveUrgent: number;
  /** Payload bytes sent for the first time. */
  bytesSent: number;
  /** Payload bytes sent again. */
  bytesRetransmitted: number;
  /** Payload bytes acknowledged by the peer. */
  bytesAcknowledged: number;
  /** Sequence space that the peer has said it has, acknowledged or selectively so, in bytes, FIN included. */
  bytesDelivered: number;
  /** Payload bytes received in order. */
  bytesReceived: number;
  /** Segments sent, with or without payload. */
  segmentsSent: number;
  /** Segments received, with or without payload. */
  segmentsReceived: number;
  /** Segments sent again. */
  segmentsRetransmitted: number;
  /** Segments found lost, those included that turned out not to be; one whose repair is lost too counts again. */
  segmentsLost: number;
  /** Segments received behind a hole. */
  segmentsOutOfOrder: number;
  /** Acknowledgements received that only repeat the last one (RFC 5681 section 2). */
  duplicateAcks: number;
  /**
   * What the network has reported about the connection since the peer was last heard from, as one sentence; null for
   * nothing. It did not end the connection (RFC 9293 section 3.9.2.2).
   */
  networkError: string | null;
  /** Whether what we sent has arrived in another order (RFC 8985 section 6.2). */
  reorderingSeen: boolean;
  /** Whether timestamps are in use (RFC 7323). */
  timestamps: boolean;
  /** Whether selective acknowledgements are in use (RFC 2018). */
  selectiveAcknowledgements: boolean;
  /** Whether windows are scaled (RFC 7323). */
  windowScaling: boolean;
  /** Whether explicit congestion notification is in use (RFC 3168). */
  ecn: boolean;
  /** Whether data of the SYN were taken, by the peer or by us: TCP Fast Open (RFC 7413). */
  fastOpen: boolean;
  /** When the connection began: our SYN was sent, or was to be, or the peer's arrived. */
  openedAt: number;
  /** When something was last sent that the peer has to acknowledge. */
  lastSentAt: number;
  /** When the last segment of the peer's arrived. */
  lastReceivedAt: number;
}

/** One connection, as its user sees it. */
export interface UserConnection {
  /** Our end. */
  readonly local: Endpoint;
  /** The peer's end. */
  readonly remote: Endpoint;
  /** Where it stands. */
  readonly state: State;
  /** Its settings. */
  readonly settings: Readonly<ConnectionSettings>;
  /**
   * Changes some of its settings, from now on.
   *
   * @throws {RangeError} If a value is not allowed.
   */
  configure(changes: Partial<ConnectionSettings>): void;
  /** Who is told; null until someone takes the connection. */
  observer: ConnectionObserver | null;
  /** Bytes that can be received now. */
  readonly receivable: number;
  /** Whether the peer has closed its side and everything before that has been received: nothing more will come. */
  readonly ended: boolean;
  /** Whether TCP is done with the connection. What was received can still be read. */
  readonly finished: boolean;
  /** Why the connection is over, or null while it is not, or when it ended regularly. */
  readonly failure: Failure | null;
  /**
   * Says that the next `receive` is going to have this very `target`: what comes may then be put there at once, where it
   * counts as receivable until that call. Null takes it back.
   */
  expect(target: Uint8Array | null): void;
  /** Copies received bytes into `target` and returns how many; 0 when none wait. Opens the window as it must. */
  receive(target: Uint8Array): number;
  /** As {@linkcode UserConnection.receive}, but the bytes stay and can be received again. */
  peek(target: Uint8Array): number;
  /** Takes bytes for sending and returns how many; 0 when the buffer is full or the sending side is closed. */
  send(source: Uint8Array): number;
  /** Bytes taken for sending that the peer has not yet acknowledged. */
  readonly unacknowledged: number;
  /** Bytes taken for sending that have not been sent once. */
  readonly unsent: number;
  /** Whether the SYN waits for the first data: TCP Fast Open with a known cookie. */
  readonly deferred: boolean;
  /** Sends the SYN that waits for the first data, without any. Does nothing when none waits. */
  proceed(): void;
  /** Sends FIN behind what was taken for sending: half close. Does nothing the second time. */
  shutdown(): void;
  /**
   * Gives the connection up in good order: as `shutdown`, and what the peer still sends is not wanted. If received
   * bytes are unread, or arrive afterwards, the peer is told by RST (RFC 9293 section 3.6.1, RFC 2525 section 2.17). For
   * how long it goes on, the setting `linger` says.
   */
  close(): void;
  /** Ends the connection at once and tells the peer by RST. */
  abort(): void;
  /** What is known of it. */
  info(): TcpInfo;
}

/** A listening port, as its user sees it. */
export interface UserListener {
  /** Where it listens: the unspecified address for all. */
  readonly local: Endpoint;
  /** Called when a connection can be accepted. */
  onAcceptable: (() => void) | null;
  /** Called when it stops listening, by whomever. */
  onClosed: (() => void) | null;
  /** The next established connection, or null. */
  accept(): UserConnection | null;
  /** Stops listening; connections that nobody accepted are reset. */
  close(): void;
}

/** What to connect to. */
export interface ConnectRequest {
  /** The peer. */
  remote: Endpoint;
  /** Our address; null to let the network choose. */
  localAddress?: IpAddress | null;
  /** Our port; 0 for an ephemeral one. */
  localPort?: number;
  /** The interface to use; null for the one that the routes say. */
  nic?: Nic | null;
  /** Settings that differ from the defaults. */
  settings?: Partial<ConnectionSettings>;
  /**
   * TCP Fast Open (RFC 7413): where a cookie of the peer is known, the SYN waits for the first data, or for
   * {@linkcode UserConnection.proceed}, and carries as much of them as fits; otherwise it asks for one. The peer may
   * receive these data twice: only for requests that may be repeated. Default false.
   */
  fastOpen?: boolean;
}

/** Where to listen. */
export interface ListenRequest {
  /** The address and port; the unspecified address for all addresses of its family, port 0 for an ephemeral one. */
  local: Endpoint;
  /** Most connections that wait to be accepted. Default 512. */
  backlog?: number;
  /** Share the port with other listeners that do so too: new connections are spread over them. Default false. */
  reuse?: boolean;
  /** Settings of accepted connections that differ from the defaults. */
  settings?: Partial<ConnectionSettings>;
  /**
   * Accept data in SYNs that carry a cookie of ours, and hand such connections out before their handshake is complete
   * (RFC 7413). Such data may arrive twice: only for services that can live with repeated requests. Default false.
   */
  fastOpen?: boolean | FastOpenListenOptions;
}

/** TCP, as the socket layer sees it. */
export interface TcpUserCalls {
  /**
   * Starts to connect. The observer of the connection is told how it went.
   *
   * @throws {Error} `AddrInUse`, `AddrNotAvailable` or `NetworkUnreachable` (see `errors.ts`) when it cannot be tried.
   */
  connect(request: ConnectRequest): UserConnection;
  /**
   * Starts to listen.
   *
   * @throws {Error} `AddrInUse` or `AddrNotAvailable` (see `errors.ts`).
   */
  listen(request: ListenRequest): UserListener;
}
