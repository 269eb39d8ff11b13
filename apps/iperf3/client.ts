/**
 * An iperf3 client on the stack.
 *
 * @module
 */

import type { Stack } from "../../mod.ts";
import { ControlChannel, encodeCookie, patience, within, writeAll } from "./control.ts";
import { DatagramStream, greet, receiveBufferBytes, receiveDatagrams } from "./datagrams.ts";
import {
  makeCookie,
  parseResults,
  State,
  TestError,
  type TestResults,
  type TestSettings,
  toParameters,
} from "./protocol.ts";
import type { Report } from "./report.ts";
import { type Outcome, TestRun } from "./run.ts";
import { connectionSettings, type DataStream, Quota, TcpStream } from "./stream.ts";

/** What a client does. */
export interface ClientOptions {
  /** The server's address. */
  readonly hostname: string;
  /** The server's port. */
  readonly port: number;
  /** The test. */
  readonly settings: TestSettings;
  /** Seconds from one report to the next; 0 for none before the end. */
  readonly interval: number;
  /** Who is told. */
  readonly report: Report;
  /** Ends the test early. */
  readonly signal: AbortSignal;
}

/**
 * Runs one test against a server.
 *
 * @throws {TestError} If it could not be run to its end; what was measured until then has been reported.
 */
export async function runClient(stack: Stack, options: ClientOptions): Promise<Outcome> {
  const { hostname, port, report, signal } = options;
  report.connecting(hostname, port);
  const conn = await stack.connect({ hostname, port, signal });
  const client = new Client(stack, new ControlChannel(conn, "server"), options);
  try {
    return await client.run();
  } finally {
    client.close();
  }
}

class Client {
  readonly #stack: Stack;
  readonly #control: ControlChannel;
  readonly #options: ClientOptions;
  readonly #cookie = makeCookie();
  readonly #streams: DataStream[] = [];
  #run: TestRun | null = null;
  #peer: TestResults | null = null;
  readonly #timers: ReturnType<typeof setTimeout>[] = [];
  #ending: Promise<void> | null = null;
  /** Rejects when the test ends in another way than by the protocol. */
  readonly #failed = Promise.withResolvers<never>();

  constructor(stack: Stack, control: ControlChannel, options: ClientOptions) {
    this.#stack = stack;
    this.#control = control;
    this.#options = options;
    this.#failed.promise.catch(() => {});
  }

  async run(): Promise<Outcome> {
    const interrupted = () => this.#failed.reject(new TestError("Interrupted: the client has terminated"));
    const { signal } = this.#options;
    signal.addEventListener("abort", interrupted, { once: true });
    if (signal.aborted) interrupted();
    try {
      await this.#control.sendCookie(this.#cookie);
      for (;;) {
        const state = await this.#nextState();
        if (await this.#enter(state)) return this.#reportOutcome();
      }
    } catch (error) {
      if (signal.aborted) await this.#control.sendState(State.clientTerminates).catch(() => {});
      if (this.#run !== null) this.#reportOutcome();
      throw error;
    } finally {
      signal.removeEventListener("abort", interrupted);
    }
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#run?.end();
    for (const stream of this.#streams) stream.close();
    this.#control.close();
  }

  /** While the streams run, the server has nothing to say; before and after it has to be quick. */
  async #nextState(): Promise<number> {
    const state = Promise.race([this.#control.receiveState(), this.#failed.promise]);
    const running = this.#run !== null && this.#ending === null;
    return await (running ? state : within(patience, state, "the server's next step"));
  }

  /** Does what the server's state asks for. Returns whether the test is over. */
  async #enter(state: number): Promise<boolean> {
    const { settings, report } = this.#options;
    switch (state) {
      case State.exchangeParameters:
        await this.#control.sendJson(toParameters(settings));
        report.agreed(settings, this.#control.conn.remoteAddr, "client", this.#cookie);
        return false;
      case State.createStreams:
        await this.#openStreams();
        report.streams(this.#streams);
        return false;
      case State.testStart:
        return false;
      case State.testRunning:
        this.#start();
        return false;
      case State.exchangeResults:
        await this.#control.sendJson(this.#startedRun().results());
        this.#peer = parseResults(await this.#control.receiveJson("results"));
        return false;
      case State.displayResults:
        await this.#control.sendState(State.done);
        return true;
      case State.accessDenied:
        throw new TestError("The server is busy with another test: try again later");
      case State.serverTerminates:
        throw new TestError("The server has terminated the test");
      case State.serverError: {
        const [code, errno] = await this.#control.receiveError();
        throw new TestError(`The server has refused the test or failed: iperf3's error ${code}, errno ${errno}`);
      }
      default:
        throw new TestError(`The server has sent an unknown state: ${state}`);
    }
  }

  #startedRun(): TestRun {
    if (this.#run === null) throw new TestError("The server has ended the test before it began");
    return this.#run;
  }

  async #openStreams(): Promise<void> {
    const { hostname, port, settings, signal } = this.#options;
    const quota = new Quota(settings.reverse ? 0 : settings.bytes);
    const sends = !settings.reverse;
    for (let index = 0; index < settings.parallel; index++) {
      if (settings.transport === "tcp") {
        const conn = await this.#stack.connect({ hostname, port, signal, settings: connectionSettings(settings) });
        await writeAll(conn, encodeCookie(this.#cookie));
        this.#streams.push(new TcpStream(conn, { index, sends, settings, quota }));
      } else {
        const bufferBytes = settings.bufferBytes || receiveBufferBytes;
        const { trafficClass } = settings;
        const socket = this.#stack.connectDatagram({ hostname, port, receiveBufferBytes: bufferBytes, trafficClass });
        const stream = new DatagramStream(socket, { local: socket.addr, remote: socket.remoteAddr! }, {
          index,
          sends,
          settings,
          quota,
        });
        this.#streams.push(stream);
        await Promise.race([greet(socket), this.#failed.promise]);
        receiveDatagrams(socket, (bytes) => stream.received(bytes)).catch(this.#failed.reject);
      }
    }
  }

  #start(): void {
    const { settings, interval, report } = this.#options;
    const run = this.#run = new TestRun(this.#streams, settings, interval, (samples) => report.interval(samples));
    const end = () => this.#ending ??= this.#end(run);
    run.sent.then(() => {
      // A receiver that has come to an end was closed by the server, which has more to say.
      if (!settings.reverse) end();
    }, this.#failed.reject);
    if (settings.duration > 0) this.#timers.push(setTimeout(end, (settings.omit + settings.duration) * 1000));
    if (settings.reverse && settings.bytes > 0) {
      const received = () => this.#streams.reduce((sum, stream) => sum + stream.tally().bytes, 0);
      this.#timers.push(setInterval(() => received() >= settings.bytes && end(), 1));
    }
  }

  async #end(run: TestRun): Promise<void> {
    // What was asked for in bytes is to arrive; a time is to be kept.
    if (run.settings.bytes > 0) await Promise.all(run.streams.map((stream) => stream.drained()));
    run.end();
    await this.#control.sendState(State.testEnd).catch(this.#failed.reject);
  }

  #reportOutcome(): Outcome {
    const outcome = this.#startedRun().outcome(this.#peer);
    this.#options.report.outcome(outcome);
    return outcome;
  }
}
