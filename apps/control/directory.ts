/**
 * Where running programs have their control sockets.
 *
 * @module
 */

import { errorLine } from "../cli.ts";

/** A control socket in the directory. */
export interface ControlEntry {
  /** The name of the program that made it. */
  readonly program: string;
  /** Its process. */
  readonly pid: number;
  /** The socket. */
  readonly path: string;
}

/** The environment variable that names the user's directory for such things (XDG Base Directory Specification). */
const runtimeVariable = "XDG_RUNTIME_DIR";

/** What a socket is called. */
const entryName = /^([a-z][a-z0-9-]*)-([1-9]\d*)\.sock$/;

/** The directory of the present user's control sockets. */
export function controlDirectory(): string {
  const runtime = Deno.env.get(runtimeVariable);
  return runtime === undefined || runtime === "" ? `/tmp/tapstack-${Deno.uid()}` : `${runtime}/tapstack`;
}

/** The control socket of a process. */
export function controlPath(program: string, pid: number): string {
  return `${controlDirectory()}/${program}-${pid}.sock`;
}

/**
 * Makes the directory for nobody but its user.
 *
 * @throws {Error} If it cannot be made, or what is there could be somebody else's.
 */
export function makeControlDirectory(): void {
  const path = controlDirectory();
  Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
  // In /tmp anybody may have made it before us, or a link to elsewhere.
  const { isDirectory, uid, mode } = Deno.lstatSync(path);
  if (!isDirectory || uid !== Deno.uid() || (mode! & 0o077) !== 0) {
    throw new Error(`Cannot use "${path}" for control sockets: it must be a directory of yours with mode 700`);
  }
}

/** The sockets of programs that run. Those of programs that do not run any more are removed. */
export async function listControlSockets(): Promise<ControlEntry[]> {
  const directory = controlDirectory();
  let names: string[];
  try {
    names = Array.from(Deno.readDirSync(directory), ({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw new Error(`Cannot read "${directory}": ${errorLine(error)}`);
  }
  const entries: ControlEntry[] = [];
  for (const name of names) {
    const [, program, pid] = entryName.exec(name) ?? [];
    if (program === undefined) continue;
    const path = `${directory}/${name}`;
    if (await isServed(path)) entries.push({ program, pid: Number(pid), path });
    else removeSocket(path);
  }
  return entries.sort((one, other) => one.pid - other.pid);
}

/** Whether somebody listens on the socket at `path`. */
export async function isServed(path: string): Promise<boolean> {
  try {
    (await Deno.connect({ transport: "unix", path })).close();
    return true;
  } catch (error) {
    // Anything else than these, such as a full queue, is a sign of life.
    return !(error instanceof Deno.errors.ConnectionRefused || error instanceof Deno.errors.NotFound);
  }
}

/** Removes the socket at `path`, where there is one; never anything else. */
export function removeSocket(path: string): void {
  try {
    if (Deno.lstatSync(path).isSocket) Deno.removeSync(path);
  } catch {
    // Somebody else has removed it, or it is not ours to remove.
  }
}
