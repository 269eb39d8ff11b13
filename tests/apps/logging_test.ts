import { assertEquals, assertMatch } from "@std/assert";
import { startLogging } from "../../apps/logging.ts";
import { printable } from "../../apps/printable.ts";

Deno.test("a printable text steers no terminal and is one line", () => {
  assertEquals(printable("\u009b2J\u2028\u0000"), "2J");
  assertEquals(printable("a\tb\r\nc\u202ed "), "a bcd");
  assertEquals(printable("naïve 漢字 🙂"), "naïve 漢字 🙂");
});

Deno.test("the log has one line a record from its level on, whatever a peer has put into it, braces too", () => {
  const lines: string[] = [];
  const original = console.error;
  console.error = (line: string) => lines.push(line);
  try {
    const logger = startLogging("info");
    logger.debug("not logged");
    logger.info("peer closed: \u001b[31mred\n12:00:00 error forged {0}");
    logger.warn("second");
  } finally {
    console.error = original;
  }
  assertEquals(lines.length, 2);
  assertMatch(lines[0]!, /^\d\d:\d\d:\d\d\.\d{3} info {2}peer closed: \[31mred12:00:00 error forged \{0\}$/);
  assertMatch(lines[1]!, /^\d\d:\d\d:\d\d\.\d{3} warn {2}second$/);
});
