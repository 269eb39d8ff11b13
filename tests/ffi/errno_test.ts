import { assertEquals, assertFalse, assertInstanceOf } from "@std/assert";
import { errnoName, isSystemError, systemError } from "../../ffi/errno.ts";
import { attachRemedy, isDeviceUnavailable, openRemedy } from "../../ffi/tuntap.ts";

Deno.test("an error says what failed, with what value, why, and what to do", () => {
  const error = systemError("ioctl(TUNSETIFF)", 1, { action: 'open the TAP device "tap0"', remedy: attachRemedy(1) });
  assertEquals(
    error.message,
    'Cannot open the TAP device "tap0": ioctl(TUNSETIFF) failed with EPERM (operation not permitted); ' +
      "it needs CAP_NET_ADMIN: run as root, or inside `unshare -rn`",
  );
  assertEquals([error.code, error.errno, error.syscall], ["EPERM", 1, "ioctl(TUNSETIFF)"]);
});

Deno.test("an error is of Deno's own class where one fits, and else a plain one", () => {
  const make = (errno: number) => systemError("call()", errno, { action: "act" });
  assertInstanceOf(make(1), Deno.errors.PermissionDenied);
  assertInstanceOf(make(2), Deno.errors.NotFound);
  assertInstanceOf(make(16), Deno.errors.Busy);
  assertInstanceOf(make(17), Deno.errors.AlreadyExists);
  assertInstanceOf(make(98), Deno.errors.AddrInUse);
  assertInstanceOf(make(99), Deno.errors.AddrNotAvailable);
  assertEquals(make(22).name, "Error");
  assertInstanceOf(systemError("call()", 17, { action: "act", errorClass: "AddrInUse" }), Deno.errors.AddrInUse);
});

Deno.test("the kernel's own words come behind the meaning of the errno", () => {
  assertEquals(
    systemError("netlink", 22, { action: "act", detail: "mtu less than device minimum" }).message,
    "Cannot act: netlink failed with EINVAL (invalid argument: mtu less than device minimum)",
  );
});

Deno.test("an errno that nobody has heard of keeps its number", () => {
  assertEquals(errnoName(4095), "errno 4095");
  assertEquals(
    systemError("call()", 4095, { action: "act" }).message,
    "Cannot act: call() failed with errno 4095 (unknown error)",
  );
});

Deno.test("a device that is missing here can be told from one that is in use", () => {
  const opening = (errno: number) => systemError("open(/dev/net/tun)", errno, { action: "open" });
  const attaching = (errno: number) => systemError("ioctl(TUNSETIFF)", errno, { action: "open" });
  assertEquals([2, 13, 19].map((errno) => isDeviceUnavailable(opening(errno))), [true, true, true]);
  assertEquals([1, 16, 22].map((errno) => isDeviceUnavailable(attaching(errno))), [true, false, false]);
  assertEquals(isDeviceUnavailable(new Deno.errors.NotCapable("no --allow-ffi")), true);
  assertEquals(isDeviceUnavailable(new TypeError("a bad name")), false);
});

Deno.test("each way in which the device can be missing has its own advice", () => {
  assertEquals(
    [2, 13, 19].map((errno) => openRemedy(errno)?.includes("/dev/net/tun") || openRemedy(errno)?.includes("modprobe")),
    [
      true,
      true,
      true,
    ],
  );
  assertEquals(openRemedy(24), undefined);
  assertEquals(attachRemedy(24), undefined);
});

Deno.test("Deno's own errors are no system errors of ours", () => {
  assertFalse(isSystemError(new Deno.errors.NotFound("file")));
  assertFalse(isSystemError("EPERM"));
});
