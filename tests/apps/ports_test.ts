import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { InvalidValue } from "../../apps/cli.ts";
import type { HeldPort, StepResult } from "../../apps/ports/manager.ts";
import { parseRequest } from "../../apps/ports/request.ts";
import { runToEnd } from "./run_program.ts";

/** Takes steps with `--json`. */
async function take(...steps: string[]): Promise<{ code: number; steps: StepResult[]; held: HeldPort[] }> {
  const { code, output, errors } = await runToEnd("ports", "--json", "--seed", "1", ...steps);
  assertEquals(errors, []);
  return { code, ...JSON.parse(output.join("")) };
}

const granted = (steps: StepResult[]) => steps.map((step) => step.granted);

Deno.test("a port on all addresses conflicts with the same port on each, but not with another protocol's", async () => {
  const { code, steps, held } = await take("tcp:80", "tcp:10.0.0.1:80", "udp:80", "free:1", "tcp:10.0.0.1:80");
  assertEquals(granted(steps), [true, false, true, true, true]);
  assertEquals(steps[1]!.result, "in use: tcp 0.0.0.0:80 exclusive");
  assertEquals(held, [
    { protocol: "tcp", address: "10.0.0.1", port: 80, sharing: "exclusive" },
    { protocol: "udp", address: "0.0.0.0", port: 80, sharing: "exclusive" },
  ]);
  assertEquals(code, 0);
});

Deno.test("sockets that all ask for reuse share a port, one that does not is refused: 1", async () => {
  const { code, steps } = await take("udp:53,reuse", "udp:53,reuse", "udp:53");
  assertEquals(granted(steps), [true, true, false]);
  assertEquals(steps[2]!.result, "in use: udp 0.0.0.0:53 reuse, udp 0.0.0.0:53 reuse");
  assertEquals(code, 1);
});

Deno.test("ephemeral ports to one destination come in sequence, and all lie in the range of RFC 6335", async () => {
  const flow = "tcp:10.0.0.1:0,to=192.0.2.1:443";
  const { held, steps } = await take(flow, flow, flow, "udp:0");
  const ports = held.filter(({ protocol }) => protocol === "tcp").map(({ port }) => port);
  assertEquals(ports, [ports[0]!, ports[0]! + 1, ports[0]! + 2]);
  for (const { port } of held) assert(port >= 49152 && port <= 65535);
  assertStringIncludes(steps[0]!.result, "flow to 192.0.2.1:443");
  assertEquals((await take(flow)).held, [held[0]!], "the seed repeats the choice");
});

Deno.test("giving back what is not held is refused", async () => {
  const { steps } = await take("tcp:80", "free:1", "free:1");
  assertEquals(granted(steps), [true, true, false]);
  assertEquals(steps[2]!.result, "step 1 holds nothing");
});

Deno.test("without arguments ports gives a tour as tables, and succeeds", async () => {
  const { code, output, errors } = await runToEnd("ports", "--seed", "1");
  assertEquals([code, errors], [0, []]);
  assertEquals(output[0]!.split(/ +/), ["Step", "Request", "Granted", "Result"]);
  assert(output.includes("   2  tcp:10.0.0.1:80                     no       in use: tcp 0.0.0.0:80 exclusive"));
  assert(output.includes("Held at the end"));
});

for (
  const text of [
    "",
    "tcp",
    "tcp:",
    "tcp:65536",
    "sctp:80",
    "tcp:host:80",
    "tcp:80,share",
    "tcp:80,reuse,to=10.0.0.1:1",
    "free:0",
    "free:1,reuse",
    "tcp:0,to=10.0.0.1",
    "constructor:1",
  ]
) {
  Deno.test(`the step "${text}" is refused`, () => {
    assertThrows(() => parseRequest(text), InvalidValue);
  });
}

Deno.test("ports with a step that makes no sense says so in one line, with 2", async () => {
  const { code, errors } = await runToEnd("ports", "tcp:80", "nonsense");
  assertEquals([code, errors.length], [2, 1]);
  assertStringIncludes(errors[0]!, 'ports: Cannot use the step "nonsense": write it like tcp:80');
});
