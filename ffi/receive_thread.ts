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

/**
 * Switches the receive thread of an interface on. It has to do NAPI (`IFF_NAPI` for TUN/TAP devices).
 *
 * There is only a file of sysfs for that, and the sysfs that is mounted shows the interfaces of whichever network namespace
 * it was mounted from. So one is made that is this thread's, and is seen by nobody else.
 *
 * @throws {SystemError} If the kernel refuses: it needs CAP_SYS_ADMIN, and Linux 5.12 or later.
 */
export function receiveInThread(name: string): void {
  using libc = Libc.open();
  const { fsopen, fsconfig, fsmount } = libc.calls;
  const fail = (call: string, errno: number, remedy?: string): never => {
    throw systemError(call, errno, {
      action: `give "${name}" a receive thread`,
      remedy: errno === Errno.EPERM ? "it needs CAP_SYS_ADMIN: run as root, or do without `receiveThread`" : remedy,
    });
  };
  if (fsopen === null || fsconfig === null || fsmount === null) {
    return fail("fsopen()", Errno.ENOSYS, "it needs glibc 2.36 or later: do without `receiveThread`");
  }
  const open: number[] = [];
  const opened = (call: string, descriptor: number): number => {
    if (descriptor < 0) fail(call, libc.errno);
    open.push(descriptor);
    return descriptor;
  };
  try {
    const context = opened("fsopen(sysfs)", fsopen(cString("sysfs"), FSOPEN_CLOEXEC));
    if (fsconfig(context, FSCONFIG_CMD_CREATE, null, null, 0) < 0) fail("fsconfig(sysfs)", libc.errno);
    const root = opened("fsmount(sysfs)", fsmount(context, FSMOUNT_CLOEXEC, 0));
    const path = `class/net/${name}/threaded`;
    const file = opened(`openat(${path})`, libc.calls.openat(root, cString(path), O_WRONLY | O_CLOEXEC));
    if (libc.calls.write(file, new TextEncoder().encode("1"), 1) < 0) fail(`write(${path})`, libc.errno);
  } finally {
    for (const descriptor of open) libc.calls.close(descriptor);
  }
}
