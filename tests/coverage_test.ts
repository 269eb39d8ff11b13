import { assertAlmostEquals, assertEquals } from "@std/assert";
import { percentTaken, readLcov } from "./coverage.ts";

const report = `TN:
SF:/project/stack/transport/tcp/one.ts
FN:3,one
DA:3,1
BRDA:3,1,0,12
BRDA:5,2,0,0
BRDA:5,2,1,-
BRDA:7,3,0,1
BRF:4
BRH:2
end_of_record
SF:/project/stack/transport/tcp/two.ts
DA:1,1
end_of_record
`;

Deno.test("the branches of each file, and the lines of those that were not taken", () => {
  assertEquals(readLcov(report), [
    { path: "/project/stack/transport/tcp/one.ts", branches: 4, taken: 2, missed: [5] },
    { path: "/project/stack/transport/tcp/two.ts", branches: 0, taken: 0, missed: [] },
  ]);
});

Deno.test("the part that was taken is that of all files together", () => {
  const files = [{ path: "a", branches: 4, taken: 2, missed: [] }, { path: "b", branches: 2, taken: 2, missed: [] }];
  assertAlmostEquals(percentTaken(files), 66.67, 0.01);
  assertEquals(percentTaken([]), 100);
});
