import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { openTap } from "../../ffi/tuntap.ts";
import { Stack } from "../../stack/stack.ts";
import { assertClosed } from "./host.ts";
import { kernelTest, run } from "./namespace.ts";
import { noise } from "./transfer.ts";

const needs = { programs: ["ip", "nsenter", "unshare", "ping", "socat"] };

/**
 * A stack that forwards between two devices: one in the test's own namespace, whose kernel is 10.1.0.2, and one in a
 * namespace beyond, whose kernel is 10.2.0.2.
 */
class Router implements AsyncDisposable {
  readonly stack = new Stack({ forwarding: true });
  readonly #beyond: Deno.ChildProcess;

  private constructor() {
    this.#beyond = new Deno.Command("unshare", { args: ["-n", "sleep", "1000"], stdout: "null" }).spawn();
  }

  static async start({ mtuBeyond = 1500, offload = true, offloadBeyond = true } = {}): Promise<Router> {
    const router = new Router();
    const near = openTap({ name: "near0", hostAddresses: ["10.1.0.2/24"], offload });
    const far = openTap({ name: "far0", mtu: mtuBeyond, up: false, offload: offloadBeyond });
    router.stack.attach(near, { addresses: ["10.1.0.1/24"] });
    router.stack.attach(far, { addresses: ["10.2.0.1/24"] });
    near.host.addRoute({ destination: "10.2.0.0/24", gateway: "10.1.0.1" });
    // The child is in its namespace when that is no longer ours.
    const own = await Deno.readLink("/proc/thread-self/ns/net");
    while (await Deno.readLink(`/proc/${router.#beyond.pid}/ns/net`) === own) await run("true");
    await run("ip", "link", "set", "far0", "netns", `${router.#beyond.pid}`);
    await router.beyond("ip", "address", "add", "10.2.0.2/24", "dev", "far0");
    await router.beyond("ip", "link", "set", "far0", "up");
    await router.beyond("ip", "route", "add", "default", "via", "10.2.0.1");
    return router;
  }

  /** Runs a program in the namespace beyond. */
  beyond(program: string, ...args: string[]): Promise<string> {
    return run("nsenter", "-t", `${this.#beyond.pid}`, "-n", program, ...args);
  }

  /** Starts a program in the namespace beyond. */
  spawnBeyond(program: string, ...args: string[]): Deno.ChildProcess {
    const enter = ["-t", `${this.#beyond.pid}`, "-n", program, ...args];
    return new Deno.Command("nsenter", { args: enter, stdin: "null", stdout: "piped", stderr: "null" }).spawn();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stack.close();
    assertClosed(this.stack);
    this.#beyond.kill("SIGKILL");
    await this.#beyond.status;
  }
}

for (
  const [what, offload, offloadBeyond] of [
    ["on both sides", true, true],
    ["on neither side", false, false],
    ["on one side only", true, false],
  ] as const
) {
  kernelTest(`two kernels ping and copy bytes through the stack, with offload ${what}`, async () => {
    await using router = await Router.start({ offload, offloadBeyond });
    for (let count = 0; count < 3; count++) {
      // One at a time: of several, ping waits for the last one no longer than twice what the others took.
      assertStringIncludes(await run("ping", "-c", "1", "-W", "5", "10.2.0.2"), "1 received");
    }
    assertMatch(await router.beyond("ping", "-c", "1", "10.1.0.2"), /ttl=63/);
    // Both ways at once, each in a connection of its own.
    const path = await Deno.makeTempFile();
    try {
      await Deno.writeFile(path, noise(3_000_000));
      const retry = "retry=100,interval=0.02";
      const sums = await Promise.all([
        router.beyond("sh", "-c", "socat -u TCP-LISTEN:5000 - | sha256sum"),
        run("socat", "-u", path, `TCP:10.2.0.2:5000,${retry}`),
        router.beyond("socat", "-u", path, "TCP-LISTEN:5001"),
        run("sh", "-c", `socat -u TCP:10.2.0.2:5001,${retry} - | sha256sum`),
      ]);
      const sum = await run("sh", "-c", `sha256sum < ${path}`);
      assertEquals(sums, [sum, "", "", sum]);
    } finally {
      await Deno.remove(path);
    }
  }, needs);
}

kernelTest("a kernel is told where its time to live ended, and what is not there", async () => {
  await using _router = await Router.start();
  const say = async (...args: string[]) => await run("sh", "-c", `ping -c 1 -W 1 ${args.join(" ")} || true`);
  assertStringIncludes(await say("-t", "1", "10.2.0.2"), "From 10.1.0.1 icmp_seq=1 Time to live exceeded");
  assertStringIncludes(await say("-W", "5", "10.2.0.99"), "From 10.1.0.1 icmp_seq=1 Destination Host Unreachable");
  await run("ip", "route", "add", "198.51.100.0/24", "via", "10.1.0.1");
  assertStringIncludes(await say("198.51.100.1"), "From 10.1.0.1 icmp_seq=1 Destination Net Unreachable");
}, needs);

kernelTest("a smaller link beyond: a kernel learns its MTU, and packets that may be are fragmented", async () => {
  await using router = await Router.start({ mtuBeyond: 1000 });
  assertStringIncludes(await run("ping", "-c", "1", "-W", "1", "-M", "dont", "-s", "1200", "10.2.0.2"), "1 received");
  assert(router.stack.counters.snapshot()["forward.fragmented"]! > 0);
  const told = await run("sh", "-c", "ping -c 1 -W 1 -M do -s 1200 10.2.0.2 || true");
  assertMatch(told, /From 10\.1\.0\.1 icmp_seq=1 Frag needed and DF set \(mtu = 1000\)/);
}, needs);

kernelTest("iperf3 runs through the stack both ways", async () => {
  await using router = await Router.start();
  const bytes = 20 << 20;
  for (const direction of [[], ["-R"]]) {
    const server = router.spawnBeyond("iperf3", "-s", "-1", "--forceflush");
    const output = server.stdout.getReader();
    while (!new TextDecoder().decode((await output.read()).value).includes("listening"));
    const { end } = JSON.parse(await run("iperf3", "-c", "10.2.0.2", "-n", `${bytes}`, "-J", ...direction));
    assert(end.sum_sent.bytes >= bytes);
    await output.cancel();
    await server.status;
  }
}, { programs: [...needs.programs, "iperf3"] });
