import { assertEquals } from "@std/assert";
import { keepsRunning } from "../helpers/ending.ts";
import { kernelTest } from "./namespace.ts";

const attached = "const stack = new tapstack.Stack(); stack.attach(tapstack.openTap()); await 0;";

kernelTest("a stack on a TAP device keeps the program running, unless it is unref'ed", async () => {
  assertEquals(await keepsRunning(attached), true);
  assertEquals(await keepsRunning(`${attached} stack.unref();`), false);
});

kernelTest("a stack on a TAP device that sleeps already lets the program end when it is unref'ed", async () => {
  const asleep = `${attached} await new Promise((resolve) => setTimeout(resolve, 20));`;
  assertEquals(await keepsRunning(`${asleep} stack.unref();`), false);
  assertEquals(await keepsRunning(`${asleep} stack.unref(); stack.ref();`), true);
});
