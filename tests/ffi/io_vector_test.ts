import { assertEquals } from "@std/assert";
import { IoVector } from "../../ffi/io_vector.ts";
import { cString, Libc } from "../../ffi/libc.ts";

const O_WRONLY = 1;

Deno.test("pieces are written in their order, from wherever they begin in their buffers, again and again", () => {
  const path = Deno.makeTempFileSync();
  using libc = Libc.open();
  const descriptor = libc.calls.open(cString(path), O_WRONLY);
  try {
    const buffer = Uint8Array.from({ length: 10_000 }, (_, index) => index % 251);
    const part = buffer.subarray(5000, 6000);
    const other = new Uint8Array(4096).fill(255);
    const pieces = new IoVector(3);
    const expected: number[] = [];
    for (const from of [0, 17]) {
      pieces.clear();
      pieces.add(part, from, 100);
      pieces.add(other, 4000, 96);
      pieces.add(buffer, 9999, 1);
      assertEquals(libc.calls.writev(descriptor, pieces.entries, pieces.count), 197);
      expected.push(...part.subarray(from, from + 100), ...other.subarray(4000), buffer[9999]!);
    }
    pieces.clear();
    pieces.add(other, 0, 1);
    assertEquals(libc.calls.writev(descriptor, pieces.entries, pieces.count), 1);
    assertEquals([...Deno.readFileSync(path)], [...expected, 255]);
  } finally {
    libc.calls.close(descriptor);
    Deno.removeSync(path);
  }
});
