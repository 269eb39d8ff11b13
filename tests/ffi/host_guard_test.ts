import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { HostGuard } from "../../ffi/host_guard.ts";
import { HostLease } from "../../ffi/host_lease.ts";
import { NetlinkSocket } from "../../ffi/netlink_socket.ts";
import { addTableRequest, batchRequests, NETLINK_NETFILTER } from "../../ffi/nftables_message.ts";
import { openTap } from "../../ffi/tuntap.ts";
import type { Logger } from "../../stack/logger.ts";
import { Stack } from "../../stack/stack.ts";
import { kernelTest, run } from "../kernel/namespace.ts";

kernelTest("a guard is a table of its own, which drops what the interface receives for the addresses", async () => {
  using tap = openTap({ name: "tap0" });
  {
    using guard = new HostGuard({ link: tap.name, addresses: ["192.0.2.7", "192.0.2.8"] });
    const text = await run("nft", "list", "ruleset");
    assertMatch(text, new RegExp(`table ip ${guard.table} \\{`));
    assertMatch(text, /type filter hook prerouting priority -450; policy accept;/);
    assertMatch(text, /iif "tap0" ip daddr 192\.0\.2\.7 drop\n\s+iif "tap0" ip daddr 192\.0\.2\.8 drop/);
    guard.close();
    assertEquals(await run("nft", "list", "ruleset"), "");
  }
}, { programs: ["nft"] });

kernelTest("the kernel answers no ping to a guarded address of its own, and does so again afterwards", async () => {
  await using stack = new Stack();
  using tap = openTap({ name: "tap0", hostAddresses: ["192.0.2.1/24"] });
  stack.attach(tap, { addresses: ["192.0.2.2/24"] });
  const ping = async () => {
    const kinds = [];
    for await (const { kind } of stack.ping("192.0.2.1", { count: 1, timeout: 200 })) kinds.push(kind);
    return kinds;
  };
  assertEquals(await ping(), ["reply"]);
  const guard = new HostGuard({ link: tap.name, addresses: ["192.0.2.1"] });
  assertEquals(await ping(), ["timeout"]);
  guard.close();
  assertEquals(await ping(), ["reply"]);
});

kernelTest("a guard goes with the program that has it, however that ends", async () => {
  using _tap = openTap({ name: "tap0" });
  const guard = new URL("../../ffi/host_guard.ts", import.meta.url);
  const code = `import { HostGuard } from "${guard}";
    new HostGuard({ link: "tap0", addresses: ["192.0.2.7"] });
    console.log("guarded");
    setInterval(() => {}, 1000);`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-config", code],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  assertMatch(await run("nft", "list", "ruleset"), /192\.0\.2\.7 drop/);
  child.kill("SIGKILL");
  await child.status;
  await reader.cancel();
  assertEquals(await run("nft", "list", "ruleset"), "");
}, { programs: ["nft"] });

kernelTest("a table that an older kernel has kept after its program is removed by the next guard", async () => {
  using tap = openTap({ name: "tap0" });
  using lease = new HostLease();
  const stale = `tapstack_${HostLease.format(lease.id)}`;
  {
    using socket = new NetlinkSocket(NETLINK_NETFILTER);
    const requests = [addTableRequest(stale, false), addTableRequest("tapstack_other", false)];
    socket.transact({ ...batchRequests(), requests }, () => ({ action: "add a table" }));
  }
  const lines: string[] = [];
  const logger: Logger = { debug() {}, info() {}, error() {}, warn: (line: string) => lines.push(line) };
  // While its program runs, it stays.
  new HostGuard({ link: tap.name, addresses: ["192.0.2.7"], logger }).close();
  assertEquals(lines, []);
  lease.close();
  new HostGuard({ link: tap.name, addresses: ["192.0.2.7"], logger }).close();
  assertEquals(lines, [`Removed what an earlier run had left behind: the nftables table ${stale}`]);
  assertEquals(await run("nft", "list", "tables"), "table ip tapstack_other\n");
}, { programs: ["nft"] });

kernelTest("an interface that is not there, or an address that is none of IPv4, is refused", () => {
  using tap = openTap({ name: "tap0" });
  assertThrows(
    () => new HostGuard({ link: "none0", addresses: [] }),
    Deno.errors.NotFound,
    'find the interface "none0"',
  );
  assertThrows(() => new HostGuard({ link: tap.name, addresses: ["fd00::1"] }), TypeError, "give an IPv4 address");
});
