/**
 * Has the kernel take what is written to an interface in a thread of its own: threaded NAPI.
 *
 * @module
 */

import { Errno, systemError } from "./errno.ts";
import { cString, Libc } from "./libc.ts";

const FSOPEN_CLOEXEC = 1;
const FSCONFIG_CMD_CREATE = 6;
const FSMOUNT_CLOEXEC = 1;
const O_WRONLY = 0o1;
const O_CLOEXEC = 0o2000000;

/** An interface that every network namespace has. */
const loopback = "lo";

/**
 * The switch of an interface's receive thread. The interface has to do NAPI (`IFF_NAPI` for TUN/TAP devices).
 *
 * Without the thread, the kernel does all that a frame needs inside of the call that writes it, on this processor; with
 * it, on another one, after that has been woken.
 */
export class ReceiveThread {
  readonly #libc: Libc;
  readonly #name: string;
  readonly #file: number;
  #running = false;

  private constructor(libc: Libc, name: string, file: number) {
    this.#libc = libc;
    this.#name = name;
    this.#file = file;
  }

  /**
   * Gets hold of the switch.
   *
   * There is only a file of sysfs for that, and the sysfs that is mounted shows the interfaces of whichever network
   * namespace it was mounted from. So one is made that is this thread's, and is seen by nobody else.
   *
   * @throws {SystemError} If the kernel refuses: it needs CAP_SYS_ADMIN, and Linux 5.12 or later.
   */
  static open(name: string): ReceiveThread {
    const libc = Libc.open();
    const { fsopen, fsconfig, fsmount } = libc.calls;
    const open: number[] = [];
    const opened = (call: string, descriptor: number): number => {
      if (descriptor < 0) throw failure(name, call, libc.errno);
      open.push(descriptor);
      return descriptor;
    };
    try {
      if (fsopen === null || fsconfig === null || fsmount === null) {
        throw failure(name, "fsopen()", Errno.ENOSYS, "it needs glibc 2.36 or later: do without `receiveThread`");
      }
      const context = opened("fsopen(sysfs)", fsopen(cString("sysfs"), FSOPEN_CLOEXEC));
      if (fsconfig(context, FSCONFIG_CMD_CREATE, null, null, 0) < 0) throw failure(name, "fsconfig(sysfs)", libc.errno);
      const root = opened("fsmount(sysfs)", fsmount(context, FSMOUNT_CLOEXEC, 0));
      const path = `class/net/${name}/threaded`;
      const file = libc.calls.openat(root, cString(path), O_WRONLY | O_CLOEXEC);
      if (file < 0) throw failure(name, `openat(${path})`, libc.errno);
      return new ReceiveThread(libc, name, file);
    } catch (error) {
      libc.close();
      throw error;
    } finally {
      for (const descriptor of open) libc.calls.close(descriptor);
    }
  }

  /** Whether this program may have such switches here, and the kernel knows them. */
  static get available(): boolean {
    try {
      ReceiveThread.open(loopback).close();
      return true;
    } catch {
      return false;
    }
  }

  /** Whether the thread was switched on. */
  get running(): boolean {
    return this.#running;
  }

  /**
   * Switches it on, which starts the thread, or off. Since Linux 6.17 the latter waits until the thread has nothing to do,
   * for 20 ms at a time.
   *
   * @throws {SystemError} If the kernel refuses, or the interface is gone.
   */
  set running(on: boolean) {
    const { calls } = this.#libc;
    if (calls.write(this.#file, new TextEncoder().encode(on ? "1" : "0"), 1) < 0) {
      throw failure(this.#name, "write(threaded)", this.#libc.errno);
    }
    this.#running = on;
  }

  /** Gives the switch up; the thread stays as it is. */
  close(): void {
    this.#libc.calls.close(this.#file);
    this.#libc.close();
  }
}

function failure(name: string, call: string, errno: number, remedy?: string): Error {
  return systemError(call, errno, {
    action: `give "${name}" a receive thread`,
    remedy: errno === Errno.EPERM ? "it needs CAP_SYS_ADMIN: run as root, or do without `receiveThread`" : remedy,
  });
}
