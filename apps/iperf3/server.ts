/**
 * An iperf3 server on the stack: one test at a time.
 *
 * @module
 */

import type { DatagramConn, Stack, TcpConn } from "../../mod.ts";
import { errorLine } from "../cli.ts";
import { ControlChannel, patience, receiveCookie, within } from "./control.ts";
import { DatagramStream, isGreeting, receiveBufferBytes, receiveDatagrams, welcome } from "./datagrams.ts";
import {
  fromParameters,
  parseResults,
  RefusedParameters,
  State,
  TestError,
  type TestResults,
  type TestSettings,
} from "./protocol.ts";
import type { Report } from "./report.ts";
import { TestRun } from "./run.ts";
import { connectionSettings, type DataStream, pause, Quota, TcpStream } from "./stream.ts";

/** What a server does. */
export interface ServerOptions {
  /** Where it listens, by TCP and UDP. */
  readonly port: number;
  /** Seconds from one report to the next; 0 for none before the end. */
  readonly interval: number;
  /** Whether one test is all. */
  readonly oneOff: boolean;
  /** Who is told. */
  readonly report: Report;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/** Seconds that a test may last longer than it should before the server gives it up. */
const grace = 10;

/** How long what was sent may be on its way when the client says that it has sent everything, in milliseconds. */
const arrivalGrace = 1000;

/** Serves tests until it is told to end, or, with `oneOff`, for one. Returns whether the last one succeeded. */
export async function runServer(stack: Stack, options: ServerOptions): Promise<boolean> {
  return await new Server(stack, options).run();
}

class Server {
  readonly #stack: Stack;
  readonly #options: ServerOptions;
  #test: ServerTest | null = null;
  /** Resolves when the present test, or the last one, is over. */
  #serving: Promise<void> = Promise.resolve();
  #number = 0;
  #succeeded = true;

  constructor(stack: Stack, options: ServerOptions) {
    this.#stack = stack;
    this.#options = options;
  }

  async run(): Promise<boolean> {
    const { port, signal, report } = this.#options;
    using listener = this.#stack.listen({ port });
    const stop = () => listener[Symbol.dispose]();
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    report.listening(port, ++this.#number);
    for await (const conn of listener) this.#admit(conn, stop);
    await this.#serving;
    signal.removeEventListener("abort", stop);
    return this.#succeeded;
  }

  /** Finds out what a connection is for, and takes or refuses it. */
  async #admit(conn: TcpConn, stop: () => void): Promise<void> {
    const { port, signal, report, oneOff } = this.#options;
    const cookie = await receiveCookie(conn);
    if (cookie === null || signal.aborted) return conn.abort();
    if (this.#test?.accepts(cookie)) return this.#test.addStream(conn);
    if (this.#test !== null) return refuse(conn);
    this.#test = new ServerTest(this.#stack, new ControlChannel(conn, "client"), cookie, this.#options);
    this.#serving = this.#serve(this.#test);
    await this.#serving;
    if (oneOff) stop();
    else if (!signal.aborted) report.listening(port, ++this.#number);
  }

  async #serve(test: ServerTest): Promise<void> {
    const { report } = this.#options;
    try {
      await test.run();
      this.#succeeded = true;
    } catch (error) {
      this.#succeeded = false;
      report.problem(errorLine(error));
    } finally {
      test.close();
      this.#test = null;
      report.finished();
    }
  }
}

/** Tells a client that another one is served. */
function refuse(conn: TcpConn): void {
  const control = new ControlChannel(conn, "client");
  control.sendState(State.accessDenied).catch(() => {}).finally(() => control.close());
}

/** One test with one client. */
class ServerTest {
  readonly #stack: Stack;
  readonly #control: ControlChannel;
  readonly #cookie: string;
  readonly #options: ServerOptions;
  readonly #streams: DataStream[] = [];
  readonly #complete = Promise.withResolvers<void>();
  /** Rejects when the test ends in another way than by the protocol. */
  readonly #failed = Promise.withResolvers<never>();
  #settings: TestSettings | null = null;
  #quota = new Quota(0);
  #socket: DatagramConn | null = null;
  #run: TestRun | null = null;
  #peer: TestResults | null = null;
  #deadline: ReturnType<typeof setTimeout> | undefined;

  constructor(stack: Stack, control: ControlChannel, cookie: string, options: ServerOptions) {
    this.#stack = stack;
    this.#control = control;
    this.#cookie = cookie;
    this.#options = options;
    this.#failed.promise.catch(() => {});
  }

  /** Whether a connection that begins with this cookie is a stream that the test waits for. */
  accepts(cookie: string): boolean {
    return cookie === this.#cookie && this.#settings?.transport === "tcp" &&
      this.#streams.length < this.#settings.parallel;
  }

  addStream(conn: TcpConn): void {
    const settings = this.#settings!;
    conn.configure(connectionSettings(settings));
    const { reverse: sends } = settings;
    this.#added(new TcpStream(conn, { index: this.#streams.length, sends, settings, quota: this.#quota }));
  }

  async run(): Promise<void> {
    const { signal, report } = this.#options;
    const interrupted = () => this.#failed.reject(new TestError("Interrupted: the server has terminated"));
    signal.addEventListener("abort", interrupted, { once: true });
    try {
      await this.#negotiate();
      const run = this.#run = new TestRun(
        this.#streams,
        this.#settings!,
        this.#options.interval,
        (samples) => report.interval(samples),
      );
      await this.#await(State.testEnd, this.#control.receiveState());
      await this.#arrival(run.settings);
      run.end();
      // A client that receives reads whole blocks to the end of the stream before it looks for the next state.
      for (const stream of this.#streams) stream.close();
      await this.#control.sendState(State.exchangeResults);
      this.#peer = parseResults(await this.#control.receiveJson("results"));
      await this.#control.sendJson(run.results());
      await this.#control.sendState(State.displayResults);
      report.outcome(run.outcome(this.#peer));
      // The client has all it needs: whether it says so in good order changes nothing.
      await within(patience, this.#control.receiveState(), "the client's end").catch(() => {});
    } catch (error) {
      await this.#excuse(error);
      if (this.#run !== null && this.#peer === null) report.outcome(this.#run.outcome(null));
      throw error;
    } finally {
      signal.removeEventListener("abort", interrupted);
    }
  }

  close(): void {
    clearTimeout(this.#deadline);
    this.#run?.end();
    for (const stream of this.#streams) stream.close();
    this.#socket?.[Symbol.dispose]();
    this.#control.close();
  }

  async #negotiate(): Promise<void> {
    const { report } = this.#options;
    await this.#control.sendState(State.exchangeParameters);
    const settings = this.#settings = fromParameters(await this.#control.receiveJson("parameters"));
    report.agreed(settings, this.#control.conn.remoteAddr, "server", this.#cookie);
    this.#quota = new Quota(settings.reverse ? settings.bytes : 0);
    if (settings.transport === "udp") this.#listenDatagram(settings);
    await this.#control.sendState(State.createStreams);
    await within(patience, Promise.race([this.#complete.promise, this.#failed.promise]), "the client's streams");
    report.streams(this.#streams);
    await this.#control.sendState(State.testStart);
    await this.#control.sendState(State.testRunning);
    if (settings.duration > 0) {
      const limit = settings.omit + settings.duration + grace;
      this.#deadline = setTimeout(
        () => this.#failed.reject(new TestError(`The client has not ended the test within ${limit} s`)),
        limit * 1000,
      );
    }
  }

  /**
   * An amount that was asked for is waited for: what the client's kernel has taken arrives behind the client's word
   * that it is done, which comes by another connection.
   */
  async #arrival({ transport, reverse, bytes }: TestSettings): Promise<void> {
    if (transport !== "tcp" || reverse || bytes === 0) return;
    const received = () => this.#streams.reduce((sum, stream) => sum + stream.tally().bytes, 0);
    const limit = performance.now() + arrivalGrace;
    while (received() < bytes && performance.now() < limit) await Promise.race([pause(1), this.#failed.promise]);
  }

  /** Waits for the one state that the client may announce now. */
  async #await(expected: State, announced: Promise<number>): Promise<void> {
    const state = await Promise.race([announced, this.#failed.promise]);
    if (state === State.clientTerminates) throw new TestError("The client has terminated the test");
    if (state !== expected) throw new TestError(`The client has sent an unexpected state: ${state}`);
  }

  /** Tells the client why its test ends, as far as it still listens. */
  async #excuse(error: unknown): Promise<void> {
    try {
      if (error instanceof RefusedParameters) await this.#control.sendError(error.code);
      else await this.#control.sendState(State.serverTerminates);
    } catch {
      // It is gone.
    }
  }

  #listenDatagram(settings: TestSettings): void {
    const { port } = this.#options;
    const bufferBytes = settings.bufferBytes || receiveBufferBytes;
    const { trafficClass } = settings;
    const socket = this.#socket = this.#stack.listenDatagram({ port, receiveBufferBytes: bufferBytes, trafficClass });
    const { hostname } = this.#control.conn.localAddr;
    const byPeer = new Map<string, DatagramStream>();
    receiveDatagrams(socket, (bytes, from) => {
      const peer = `${from.hostname}:${from.port}`;
      let stream = byPeer.get(peer);
      if (isGreeting(bytes)) {
        if (stream === undefined && this.#streams.length < settings.parallel) {
          const { reverse: sends } = settings;
          const options = { index: this.#streams.length, sends, settings, quota: this.#quota };
          stream = new DatagramStream(socket, { local: { ...socket.addr, hostname }, remote: from }, options);
          byPeer.set(peer, stream);
          this.#added(stream);
        }
        if (stream !== undefined) socket.send(welcome(), from).catch(this.#failed.reject);
      } else {
        stream?.received(bytes);
      }
    }).catch(this.#failed.reject);
  }

  #added(stream: DataStream): void {
    this.#streams.push(stream);
    if (this.#streams.length === this.#settings!.parallel) this.#complete.resolve();
  }
}
