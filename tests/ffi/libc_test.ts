import { assert, assertEquals } from "@std/assert";
import { Errno } from "../../ffi/errno.ts";
import { cString, Libc } from "../../ffi/libc.ts";
import { kernelUnavailable } from "../kernel/namespace.ts";

const ignore = kernelUnavailable === "needs Linux" || kernelUnavailable === "needs --allow-ffi";

Deno.test({
  name: "the library is shared, and closed with its last share",
  ignore,
  fn() {
    // The resource sanitizer would find a library that stayed open.
    const first = Libc.open();
    const second = Libc.open();
    assert(first === second);
    first.close();
    assertEquals(second.calls.close(-1), -1);
    second.close();
    using again = Libc.open();
    assert(again !== first);
  },
});

Deno.test({
  name: "errno says why the last call failed",
  ignore,
  fn() {
    using libc = Libc.open();
    assertEquals(libc.calls.open(cString("/no/such/file"), 0), -1);
    assertEquals(libc.errno, Errno.ENOENT);
    assertEquals(libc.calls.open(cString("/"), 2), -1);
    assertEquals(libc.errno, 21);
  },
});

Deno.test("a C string is UTF-8 with a zero byte behind it", () => {
  assertEquals(cString("é"), new Uint8Array([0xc3, 0xa9, 0]));
});
