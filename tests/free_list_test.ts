import { assertEquals } from "@std/assert";
import { FreeList } from "../stack/free_list.ts";

Deno.test("what was kept last is taken first; an empty list has nothing", () => {
  const list = new FreeList<string>();
  assertEquals([list.keep("a"), list.keep("b")], [true, true]);
  assertEquals([list.take(), list.take(), list.take()], ["b", "a", undefined]);
});

Deno.test("beyond its capacity nothing is kept", () => {
  const list = new FreeList<string>(1);
  assertEquals([list.keep("a"), list.keep("b")], [true, false]);
  assertEquals([list.take(), list.take()], ["a", undefined]);
});
