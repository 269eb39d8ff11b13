/**
 * What an iperf3 client and server say to each other on the control connection: states, the test's parameters, and the
 * results.
 *
 * @module
 */

/** The states that one side announces to the other, each as one signed byte. */
export const State = {
  /** The server is about to start the streams. */
  testStart: 1,
  /** The streams run. */
  testRunning: 2,
  /** The client has finished. */
  testEnd: 4,
  /** The client is to send the parameters. */
  exchangeParameters: 9,
  /** The client is to open the streams. */
  createStreams: 10,
  /** The server gives up. */
  serverTerminates: 11,
  /** The client gives up. */
  clientTerminates: 12,
  /** Both sides send their results, the client first. */
  exchangeResults: 13,
  /** Everything is known: the client may print it. */
  displayResults: 14,
  /** The client goes away. */
  done: 16,
  /** The server runs another test. */
  accessDenied: -1,
  /** The server failed; two 32-bit numbers follow: iperf3's error and the system's. */
  serverError: -2,
} as const;

/** One of the values of {@linkcode State}. */
export type State = (typeof State)[keyof typeof State];

/** Bytes of the cookie that opens each connection and tells which test it belongs to, its final zero included. */
export const cookieBytes = 37;

/** What begins a UDP stream, and the answer: four bytes each, in the byte order of the machines that began this. */
export const datagramGreeting = 0x36373839;
/** The answer to {@linkcode datagramGreeting}. */
export const datagramWelcome = 0x39383736;

/** iperf3's number for an option that a server does not have. */
export const notImplemented = 13;
/** iperf3's number for parameters that cannot be read. */
export const badParameters = 114;

/** A problem that ends a test. Its message is one line. */
export class TestError extends Error {
  /** The class's name. */
  override readonly name: string = "TestError";
}

/** Parameters that a server cannot serve. */
export class RefusedParameters extends TestError {
  /** The class's name. */
  override readonly name: string = "RefusedParameters";
  /** iperf3's number for the reason. */
  readonly code: number;

  /** Takes one line and iperf3's number for the reason. */
  constructor(message: string, code: number) {
    super(message);
    this.code = code;
  }
}

/** A test as both sides have agreed on it. */
export interface TestSettings {
  /** What carries the data. */
  readonly transport: "tcp" | "udp";
  /** How long it goes on, in seconds; 0 where bytes or blocks say when it ends. */
  readonly duration: number;
  /** Seconds at the beginning that do not count. */
  readonly omit: number;
  /** Bytes after which it ends, over all streams; 0 for no such limit. */
  readonly bytes: number;
  /** Streams. */
  readonly parallel: number;
  /** Whether it is the server that sends. */
  readonly reverse: boolean;
  /** Bytes of one write, or of one datagram. */
  readonly blockBytes: number;
  /** Bits per second of each stream; 0 for as fast as it can. */
  readonly bitrate: number;
  /** Whether small segments are sent at once. */
  readonly noDelay: boolean;
  /** Largest segment payload, in bytes; 0 for what the path carries. */
  readonly maximumSegmentBytes: number;
  /** Bytes of socket buffers; 0 for the stack's own choice. */
  readonly bufferBytes: number;
  /** Type of service of what is sent. */
  readonly trafficClass: number;
  /** Whether datagrams are counted with 64 bits. */
  readonly wideCounters: boolean;
}

/** What one side has to say about a stream, in iperf3's own names. */
export interface StreamResult {
  /** The stream's number: 1, 3, 4, 5 and so on. */
  readonly id: number;
  /** Payload bytes that were sent or received. */
  readonly bytes: number;
  /** Segments sent again; -1 where nobody counts them. */
  readonly retransmits: number;
  /** In seconds (RFC 3550 section 6.4.1). */
  readonly jitter: number;
  /** Datagrams that did not come. */
  readonly errors: number;
  /** The same, in the omitted time. */
  readonly omitted_errors: number;
  /** Datagrams sent, or the number of the last one received. */
  readonly packets: number;
  /** The same, in the omitted time. */
  readonly omitted_packets: number;
  /** In seconds. */
  readonly start_time: number;
  /** In seconds. */
  readonly end_time: number;
}

/** What one side has to say about a test, in iperf3's own names. */
export interface TestResults {
  /** Processor time in per cent of the elapsed time. */
  readonly cpu_util_total: number;
  /** The program's own share of it. */
  readonly cpu_util_user: number;
  /** The kernel's share of it. */
  readonly cpu_util_system: number;
  /** 1 if the sender counts retransmissions, 0 if not, -1 from a receiver. */
  readonly sender_has_retransmits: number;
  /** The congestion control algorithm, of TCP. */
  readonly congestion_used?: string;
  /** The streams. */
  readonly streams: readonly StreamResult[];
}

/** The number of the stream with an index: iperf3 leaves out 2. */
export function streamId(index: number): number {
  return index === 0 ? 1 : index + 2;
}

/** A fresh cookie. */
export function makeCookie(): string {
  const letters = "abcdefghijklmnopqrstuvwxyz234567";
  return Array.from(crypto.getRandomValues(new Uint8Array(cookieBytes - 1)), (byte) => letters[byte % 32]).join("");
}

/** The settings as iperf3 writes them. */
export function toParameters(settings: TestSettings): Record<string, unknown> {
  const { transport, bitrate, maximumSegmentBytes, bufferBytes, trafficClass } = settings;
  return {
    [transport]: true,
    omit: settings.omit,
    time: settings.duration,
    num: settings.bytes,
    blockcount: 0,
    parallel: settings.parallel,
    len: settings.blockBytes,
    pacing_timer: 1000,
    ...(maximumSegmentBytes > 0 ? { MSS: maximumSegmentBytes } : {}),
    ...(settings.noDelay ? { nodelay: true } : {}),
    ...(settings.reverse ? { reverse: true } : {}),
    ...(bufferBytes > 0 ? { window: bufferBytes } : {}),
    ...(bitrate > 0 ? { bandwidth: bitrate } : {}),
    ...(trafficClass > 0 ? { TOS: trafficClass } : {}),
    ...(settings.wideCounters ? { udp_counters_64bit: 1 } : {}),
    client_version: "3.12",
  };
}

/** Parameters that change what a server would have to do, and that this one does not know. */
const unknownParameters = ["sctp", "bidirectional", "authtoken", "fqrate"];

/**
 * Reads parameters that a client has sent.
 *
 * @throws {RefusedParameters} If they make no sense, or ask for what this server does not have.
 */
export function fromParameters(value: unknown): TestSettings {
  if (typeof value !== "object" || value === null) {
    throw new RefusedParameters("The client's parameters are no object", badParameters);
  }
  const given = value as Record<string, unknown>;
  for (const name of unknownParameters) {
    if (given[name] !== undefined && given[name] !== 0 && given[name] !== false) {
      throw new RefusedParameters(`The client asks for "${name}", which this server does not have`, notImplemented);
    }
  }
  const number = (name: string, least: number, most: number, fallback = 0): number => {
    const found = given[name] ?? fallback;
    if (typeof found === "number" && found >= least && found <= most) return found;
    throw new RefusedParameters(`The client's parameter "${name}" is out of range: ${found}`, badParameters);
  };
  const flag = (name: string): boolean => given[name] === true || given[name] === 1;
  const transport = flag("udp") ? "udp" : "tcp";
  const blockBytes = Math.floor(number("len", 1, 1 << 20, transport === "tcp" ? 131_072 : 1460));
  if (transport === "udp" && (blockBytes < 16 || blockBytes > 65507)) {
    throw new RefusedParameters(`The client asks for datagrams of ${blockBytes} bytes: 16 to 65507 go`, badParameters);
  }
  const blocks = number("blockcount", 0, Number.MAX_SAFE_INTEGER);
  return {
    transport,
    duration: number("time", 0, 86_400),
    omit: number("omit", 0, 600),
    bytes: blocks > 0 ? blocks * blockBytes : number("num", 0, Number.MAX_SAFE_INTEGER),
    parallel: Math.floor(number("parallel", 1, 128, 1)),
    reverse: flag("reverse"),
    blockBytes,
    bitrate: number("bandwidth", 0, Number.MAX_SAFE_INTEGER),
    noDelay: flag("nodelay"),
    maximumSegmentBytes: Math.floor(number("MSS", 0, 65495)),
    bufferBytes: Math.floor(number("window", 0, 1 << 29)),
    trafficClass: Math.floor(number("TOS", 0, 255)),
    wideCounters: flag("udp_counters_64bit"),
  };
}

/**
 * Reads results that the peer has sent.
 *
 * @throws {TestError} If they make no sense.
 */
export function parseResults(value: unknown): TestResults {
  const results = value as Partial<TestResults> | null;
  if (typeof results !== "object" || results === null || !Array.isArray(results.streams)) {
    throw new TestError("The peer's results make no sense: they name no streams");
  }
  const number = (value: unknown): number => typeof value === "number" && Number.isFinite(value) ? value : 0;
  return {
    cpu_util_total: number(results.cpu_util_total),
    cpu_util_user: number(results.cpu_util_user),
    cpu_util_system: number(results.cpu_util_system),
    sender_has_retransmits: number(results.sender_has_retransmits),
    ...(typeof results.congestion_used === "string" ? { congestion_used: results.congestion_used } : {}),
    streams: results.streams.map((stream: Record<string, unknown>) => ({
      id: number(stream.id),
      bytes: number(stream.bytes),
      // A receiver says -1, which some versions write as an unsigned number of 64 bits.
      retransmits: Number.isSafeInteger(stream.retransmits) ? number(stream.retransmits) : -1,
      jitter: number(stream.jitter),
      errors: number(stream.errors),
      omitted_errors: number(stream.omitted_errors),
      packets: number(stream.packets),
      omitted_packets: number(stream.omitted_packets),
      start_time: number(stream.start_time),
      end_time: number(stream.end_time),
    })),
  };
}
