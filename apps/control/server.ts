/**
 * The control socket of a running program: a Unix socket on which other programs of the same user ask what its stack is
 * doing, by HTTP: `curl --unix-socket PATH http://localhost/snapshot`.
 *
 * @module
 */

import type { Logger } from "../../mod.ts";
import { errorLine, InvalidValue, type Option } from "../cli.ts";
import { controlPath, isServed, listControlSockets, makeControlDirectory, removeSocket } from "./directory.ts";

/** Where the control socket is to be: a path, `none`, or null for the usual place. */
export type ControlChoice = string | null;

/** Longest path of a Unix socket in bytes: `sun_path` has 108 with the zero at its end (unix(7)). */
const mostPathBytes = 107;

/** The option that says where the control socket is. */
export const controlOptions = {
  control: {
    placeholder: "PATH",
    help: "Control socket for netstat, or none (default: one in $XDG_RUNTIME_DIR or /tmp)",
    fallback: null,
    parse: (text) => {
      const bytes = new TextEncoder().encode(text).length;
      if (bytes > mostPathBytes) {
        throw new InvalidValue(`the path has ${bytes} bytes, a socket's can have ${mostPathBytes}`);
      }
      return text;
    },
  } as Option<ControlChoice>,
} as const;

/** The value of {@linkcode controlOptions}. */
export interface ControlValues {
  /** Where the control socket is to be. */
  readonly control: ControlChoice;
}

/** What can be asked for by name; each answer must survive `JSON.stringify`. */
export type ControlAnswers = Readonly<Record<string, () => unknown>>;

/** The permissions without which there is no control socket in the usual place. */
const neededPermissions: readonly Deno.PermissionDescriptor[] = [
  { name: "net" },
  { name: "read" },
  { name: "write" },
  { name: "env", variable: "XDG_RUNTIME_DIR" },
  { name: "sys", kind: "uid" },
];

/** A control socket that answers until it is disposed of. */
export class ControlSocket implements AsyncDisposable {
  /** Where it is. */
  readonly path: string;
  readonly #server: Deno.HttpServer;

  /** Made by {@linkcode openControl}. */
  constructor(path: string, answers: ControlAnswers) {
    this.path = path;
    this.#server = Deno.serve({ path, onListen: () => {} }, (request) => answer(request, answers));
    // The directory in the usual place is closed to others already; a path of the user's choice may lie anywhere.
    Deno.chmodSync(path, 0o600);
  }

  /** Stops answering and removes the socket. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
    removeSocket(this.path);
  }
}

/**
 * Opens the control socket that the option asks for. In the usual place a program does without when it cannot have one,
 * and says so in the log.
 *
 * @returns Null where there is to be none, or none can be had in the usual place.
 * @throws {Error} If the path that was given cannot be used.
 */
export async function openControl(
  choice: ControlChoice,
  answers: ControlAnswers,
  logger: Logger,
): Promise<ControlSocket | null> {
  if (choice === "none") return null;
  if (choice !== null) return await openAt(choice, answers);
  if (neededPermissions.some((needed) => Deno.permissions.querySync(needed).state !== "granted")) {
    logger.debug("No control socket: it takes --allow-net, --allow-read, --allow-write, --allow-env and --allow-sys");
    return null;
  }
  try {
    makeControlDirectory();
    // Programs that were killed have left theirs behind.
    await listControlSockets();
    return await openAt(controlPath(programName(), Deno.pid), answers);
  } catch (error) {
    logger.warn(`Doing without a control socket: ${errorLine(error)}`);
    return null;
  }
}

async function openAt(path: string, answers: ControlAnswers): Promise<ControlSocket> {
  if (await isServed(path)) throw new Error(`Cannot open the control socket "${path}": another program has it`);
  removeSocket(path);
  try {
    return new ControlSocket(path, answers);
  } catch (error) {
    throw new Error(`Cannot open the control socket "${path}": ${errorLine(error)}`);
  }
}

/** The name of the program that runs: its file's. */
function programName(): string {
  return /([^/]+)\.ts$/.exec(Deno.mainModule)?.[1]?.replaceAll("_", "-") ?? "program";
}

function answer(request: Request, answers: ControlAnswers): Response {
  const name = new URL(request.url).pathname.slice(1);
  if (!Object.hasOwn(answers, name)) {
    return new Response(`Nothing is called "${name}": ask for ${Object.keys(answers).join(", ")}\n`, { status: 404 });
  }
  if (request.method !== "GET") return new Response("Use GET\n", { status: 405, headers: { allow: "GET" } });
  return Response.json(answers[name]!());
}
