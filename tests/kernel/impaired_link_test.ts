import { assertEquals, assertGreater } from "@std/assert";
import type { ImpairmentOptions } from "../../stack/link/impairment.ts";
import { betweenKernelAndStack, betweenKernels } from "./impaired_link.ts";
import { kernelTest } from "./namespace.ts";
import { assertExact, noise } from "./transfer.ts";

const links: Record<string, ImpairmentOptions> = {
  "a link that loses nothing": { delay: 2 },
  "2 % loss, duplication and reordering": { loss: 0.02, duplicate: 0.02, reorder: 0.05, reorderDelay: 3, delay: 3 },
  "10 % loss": { loss: 0.1, delay: 1 },
  "corruption": { corrupt: 0.01, delay: 2 },
  "a narrow link with a short queue": { rate: 20_000_000, queueBytes: 30_000, delay: 5 },
};

for (const [name, impairment] of Object.entries(links)) {
  kernelTest(
    `the kernel and the stack over ${name}: exact both ways`,
    () =>
      betweenKernelAndStack(
        { impairment, seed: 1 },
        ({ near, far }) => assertExact([near, far], noise(200_000, 1), noise(200_000, 2)),
      ),
  );
}

kernelTest("two kernels over the same link, which is made by us: exact both ways, and frames were lost", async () => {
  let lost = 0;
  const impairment: ImpairmentOptions = {
    delay: 1,
    drop: (_packet, index) => {
      const drops = index % 50 === 49;
      if (drops) lost++;
      return drops;
    },
  };
  await betweenKernels(
    { impairment, seed: 1 },
    ({ near, far }) => assertExact([near, far], noise(200_000, 1), noise(200_000, 2)),
  );
  assertGreater(lost, 4);
  assertEquals(lost < 100, true);
});
