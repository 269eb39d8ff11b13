/**
 * Networks for tests of the VPN: the test's own namespace is the server's, and clients live in rooms of their own.
 *
 * @module
 */

import { TokenStore } from "../../apps/vpn/token_store.ts";
import { Rtnetlink } from "../../ffi/rtnetlink.ts";
import { run } from "../kernel/namespace.ts";
import { lines, type Outcome, programCommand, RunningProgram } from "./run_program.ts";

/** A network namespace at the other end of a veth pair. It has 10.7.N.2, and this one 10.7.N.1. */
export class Room implements AsyncDisposable {
  /** This namespace's address towards the room. */
  readonly host: string;
  /** What goes in front of a command to run it in the room. */
  readonly wrapper: readonly string[];
  readonly #holder: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;

  private constructor(holder: Deno.ChildProcess, number: number) {
    this.#holder = holder;
    this.#writer = holder.stdin.getWriter();
    this.host = `10.7.${number}.1`;
    this.wrapper = ["nsenter", "-t", String(holder.pid), "-n"];
  }

  /** Makes a room. */
  static async make(number: number): Promise<Room> {
    // The room lives as long as this process, whatever becomes of it: cat ends with its input.
    const holder = new Deno.Command("unshare", { args: ["-n", "cat"], stdin: "piped", stdout: "piped" }).spawn();
    const room = new Room(holder, number);
    // What comes back says that unshare has become cat, in its own namespace.
    await room.#writer.write(new TextEncoder().encode("\n"));
    const reader = holder.stdout.getReader();
    await reader.read();
    reader.releaseLock();
    const [inside, outside] = [`in${number}`, `out${number}`];
    await run("ip", "link", "add", outside, "type", "veth", "peer", "name", inside, "netns", String(holder.pid));
    await run("ip", "addr", "add", `${room.host}/24`, "dev", outside);
    await run("ip", "link", "set", outside, "up");
    await room.run("ip", "link", "set", "lo", "up");
    await room.run("ip", "addr", "add", `10.7.${number}.2/24`, "dev", inside);
    await room.run("ip", "link", "set", inside, "up");
    return room;
  }

  /** Runs a program of the system in the room, and returns what it printed. */
  run(program: string, ...args: string[]): Promise<string> {
    const [first, ...rest] = this.wrapper;
    return run(first!, ...rest, program, ...args);
  }

  /** Starts one of our programs in the room. */
  start(name: string, ...args: string[]): RunningProgram {
    return RunningProgram.startBy(this.wrapper, name, ...args);
  }

  /** Runs one of our programs in the room to its end. */
  async runProgram(name: string, ...args: string[]): Promise<Outcome> {
    return await this.runWith([], name, ...args);
  }

  /** As {@linkcode Room.runProgram}, by another command. */
  async runWith(wrapper: readonly string[], name: string, ...args: string[]): Promise<Outcome> {
    const { code, stdout, stderr } = await programCommand(name, args, [...this.wrapper, ...wrapper]).output();
    return { code, output: lines(stdout), errors: lines(stderr) };
  }

  /** The interfaces, IPv4 addresses and routes of the room. */
  async state(): Promise<string> {
    const parts = [["link"], ["-4", "addr"], ["-4", "route"]].map((args) => this.run("ip", "-o", ...args));
    return settled((await Promise.all(parts)).join("\n"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close();
    await this.#holder.stdout.cancel();
    await this.#holder.status;
  }
}

/** Lines without what changes by itself. */
function settled(text: string): string {
  return text.split("\n").filter((line) => line !== "").map((line) =>
    line.replace("NO-CARRIER,", "").replace(/ state \w+ /, " ")
  ).sort().join(
    "\n",
  );
}

/** The interfaces, IPv4 addresses and routes of this namespace. */
export function hostState(): string {
  using kernel = new Rtnetlink();
  const links = kernel.links().map(({ name, mtu }) => `${name} ${mtu}`);
  const addresses = kernel.addresses().filter(({ prefix }) => prefix.address.family === 4)
    .map(({ prefix }) => prefix.toString());
  const routes = kernel.routes().map(({ destination, metric }) => `${destination} ${metric}`);
  return [...links, ...addresses, ...routes].sort().join("\n");
}

/** A server with its tokens in a folder of its own, in this namespace. */
export class VpnServer implements AsyncDisposable {
  readonly #folder: string;
  readonly #args: readonly string[];
  #program: RunningProgram | null = null;
  /** The fingerprint that it printed. */
  fingerprint = "";

  private constructor(folder: string, args: readonly string[]) {
    this.#folder = folder;
    this.#args = args;
  }

  /** Makes tokens with these names, and starts a server that knows them. */
  static async start(names: readonly string[], ...args: string[]): Promise<VpnServer> {
    const server = new VpnServer(await Deno.makeTempDir({ prefix: "tapstack-" }), args);
    try {
      using store = new TokenStore(`${server.#folder}/vpn.sqlite`);
      for (const name of names) {
        await Deno.writeTextFile(server.tokenFile(name), store.create(name, { days: null, address: null }));
      }
      await server.restart();
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The file with the token of that name. */
  tokenFile(name: string): string {
    return `${this.#folder}/${name}.token`;
  }

  /** The running program. */
  get program(): RunningProgram {
    return this.#program!;
  }

  /** Runs one of the commands on the server's tokens to its end. */
  async run(...args: string[]): Promise<Outcome> {
    const command = programCommand("vpn", [...args, "--state", `${this.#folder}/vpn.sqlite`]);
    const { code, stdout, stderr } = await command.output();
    return { code, output: lines(stdout), errors: lines(stderr) };
  }

  /** What `vpn status --json` says. */
  // deno-lint-ignore no-explicit-any -- what a script reads, as a script reads it
  async status(): Promise<any> {
    const { stdout } = await programCommand("vpn", ["status", "--json", "--control", this.#control]).output();
    return JSON.parse(new TextDecoder().decode(stdout))[0];
  }

  /** Starts the server, after ending the one that runs without a word. */
  async restart(): Promise<void> {
    await this.kill();
    const state = `${this.#folder}/vpn.sqlite`;
    const options = ["--state", state, "--control", this.#control, ...this.#args];
    this.#program = RunningProgram.start("vpn", "server", ...options);
    this.fingerprint = (await this.#program.line(/fingerprint/)).replace(/.*fingerprint: /, "");
  }

  /** Ends the server without a word. */
  async kill(): Promise<void> {
    await this.#program?.[Symbol.asyncDispose]();
    this.#program = null;
  }

  /** The options by which a client gets in. */
  access(name: string): string[] {
    return ["--token-file", this.tokenFile(name), "--fingerprint", this.fingerprint, "--control", "none"];
  }

  /** The same for programs other than `vpn`. */
  linkAccess(room: Room, name: string): string[] {
    const options = ["--vpn-token-file", this.tokenFile(name), "--vpn-fingerprint", this.fingerprint];
    return ["--vpn", `wss://${room.host}`, ...options, "--control", "none"];
  }

  /** Starts a client in a room, and resolves when it is connected. */
  async client(room: Room, name: string, ...args: string[]): Promise<RunningProgram> {
    const client = room.start("vpn", "client", `wss://${room.host}`, ...this.access(name), ...args);
    await client.line(/^Connected to/);
    return client;
  }

  get #control(): string {
    return `${this.#folder}/control.sock`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await Deno.remove(this.#folder, { recursive: true });
  }
}
