/**
 * Tests against the Linux kernel, each in a network namespace of its own, so that no packet ever leaves it.
 *
 * @module
 */

import { systemError } from "../../ffi/errno.ts";
import { cString, Libc } from "../../ffi/libc.ts";
import { Rtnetlink } from "../../ffi/rtnetlink.ts";
import { soon } from "../helpers/patience.ts";
import { isInstalled } from "../helpers/programs.ts";

const CLONE_NEWNET = 0x40000000;
const O_RDONLY = 0;
const O_RDWR = 2;
const O_CLOEXEC = 0o2000000;
/** The thread's own namespace: `deno test` runs each file on a thread of its own, and only that one is to move. */
const namespacePath = "/proc/thread-self/ns/net";

/** Why kernel tests cannot run here, or null when they can. */
export const kernelUnavailable: string | null = findObstacle();

/** What a test needs beside a namespace. */
export interface KernelTestNeeds {
  /** Programs of the system. */
  programs?: readonly string[];
  /** To change the settings of the namespace, with {@linkcode configureKernel}. */
  settings?: boolean;
}

/**
 * Registers a test whose body runs in a fresh network namespace, where `lo` is up and nothing else is there. Where
 * that, or what else the test needs, cannot be had, the test is ignored and its name says why.
 */
export function kernelTest(name: string, body: () => void | Promise<void>, needs: KernelTestNeeds = {}): void {
  const obstacle = kernelUnavailable ?? findLack(needs);
  Deno.test({
    name: obstacle === null ? name : `${name} (ignored: ${obstacle})`,
    ignore: obstacle !== null,
    fn: () => withNamespace(() => soon(Promise.resolve(body()), "the end of the test")),
  });
}

/** Why a test with these needs cannot run here, or null when it can. */
function findLack({ programs = [], settings = false }: KernelTestNeeds): string | null {
  const missing = programs.filter((name) => !isInstalled(name));
  if (missing.length > 0) return `needs ${missing.join(", ")}`;
  return settings && !canConfigureKernel() ? "needs a writable /proc/sys/net" : null;
}

/** Changes a setting of the namespace: `configureKernel("ipv4/ip_forward", 1)`. */
export function configureKernel(setting: string, value: number): void {
  // Whoever opens the file decides of which namespace it speaks: it has to be this thread.
  Deno.writeTextFileSync(`/proc/sys/net/${setting}`, String(value));
}

/**
 * Runs `body` in a fresh network namespace with `lo` up, and returns to the present one whatever happens.
 *
 * It is the calling thread that moves. What it makes is in the new namespace: devices, netlink sockets, Deno's own
 * sockets, child processes. Only what Deno does on other threads is not, such as looking up names: use addresses.
 */
export async function withNamespace<Result>(body: () => Result | Promise<Result>): Promise<Result> {
  using _namespace = enterNamespace();
  configureNamespace();
  return await body();
}

/** Runs a program and returns what it printed; its failure is an error with that text. */
export async function run(program: string, ...args: string[]): Promise<string> {
  const { success, code, stdout, stderr } = await new Deno.Command(program, { args }).output();
  const text = new TextDecoder().decode(stdout);
  if (success) return text;
  const problem = new TextDecoder().decode(stderr).trim() || text.trim();
  throw new Error(`Cannot run ${[program, ...args].join(" ")}: exit code ${code}: ${problem}`);
}

function configureNamespace(): void {
  using netlink = new Rtnetlink();
  netlink.changeLink("lo", { up: true });
  try {
    // Without a search for duplicates, an IPv6 address can be used at once.
    configureKernel("ipv6/conf/default/accept_dad", 0);
  } catch {
    // A read-only /proc/sys, as in many containers: the tests that care pass duplicateDetection instead.
  }
}

/** Whether {@linkcode configureKernel} works: in many containers /proc/sys is read-only. */
function canConfigureKernel(): boolean {
  using _namespace = enterNamespace();
  try {
    configureKernel("ipv4/ip_forward", 0);
    return true;
  } catch {
    return false;
  }
}

/** Three system calls, as this is asked whenever a test file is loaded. */
function findObstacle(): string | null {
  if (Deno.build.os !== "linux") return "needs Linux";
  if (Deno.permissions.querySync({ name: "ffi" }).state !== "granted") return "needs --allow-ffi";
  using libc = Libc.open();
  const { calls } = libc;
  const namespace = calls.open(cString(namespacePath), O_RDONLY | O_CLOEXEC);
  // To enter the namespace that one is in takes the same privilege as to come back to it later.
  const privileged = namespace >= 0 && calls.setns(namespace, CLONE_NEWNET) === 0;
  if (namespace >= 0) calls.close(namespace);
  if (!privileged) return "needs root: run `unshare -rn deno task test`";
  const device = calls.open(cString("/dev/net/tun"), O_RDWR | O_CLOEXEC);
  if (device < 0) return "needs access to /dev/net/tun";
  calls.close(device);
  return null;
}

/** Moves this thread to a new network namespace until the result is disposed of. */
function enterNamespace(): Disposable {
  const libc = Libc.open();
  const { calls } = libc;
  const original = calls.open(cString(namespacePath), O_RDONLY | O_CLOEXEC);
  if (calls.unshare(CLONE_NEWNET) < 0) {
    const { errno } = libc;
    calls.close(original);
    libc.close();
    throw systemError("unshare(CLONE_NEWNET)", errno, {
      action: "make a network namespace",
      remedy: "run as root, or inside `unshare -rn`",
    });
  }
  return {
    [Symbol.dispose](): void {
      const errno = calls.setns(original, CLONE_NEWNET) < 0 ? libc.errno : 0;
      calls.close(original);
      libc.close();
      if (errno !== 0) throw systemError("setns()", errno, { action: "return to the original network namespace" });
    },
  };
}
