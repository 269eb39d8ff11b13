import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { openTap } from "../../ffi/tuntap.ts";
import type { PingEvent, PingOptions } from "../../stack/socket/ping.ts";
import { assertRejectsNamed } from "../helpers/errors.ts";
import { absentAddress, Host, kernelAddress, Recorder, routedHost, stackAddress } from "./host.ts";
import { kernelTest, run } from "./namespace.ts";

const ping = { programs: ["ping"] };

kernelTest("the kernel's ping loses nothing", async () => {
  await using _host = new Host();
  const report = await run("ping", "-c", "100", "-i", "0.01", stackAddress);
  assertStringIncludes(report, "100 packets transmitted, 100 received, 0% packet loss");
  assertMatch(report, /^64 bytes from 192\.0\.2\.2: icmp_seq=1 ttl=64 time=/m);
}, ping);

for (const [size, fragments] of [["5000", 4], ["20000", 14], ["65507", 45]] as const) {
  kernelTest(`the kernel's ping of ${size} bytes comes back in ${fragments} fragments`, async () => {
    const recorder = new Recorder();
    await using _host = new Host({ wrap: recorder.wrap });
    const report = await run("ping", "-c", "3", "-i", "0.01", "-s", size, stackAddress);
    assertStringIncludes(report, "3 packets transmitted, 3 received, 0% packet loss");
    // ping compares what comes back, and says so when it is not what was sent.
    assertEquals(report.includes("wrong data byte"), false, report);
    assertEquals(recorder.fragments, { sent: 3 * fragments, received: 3 * fragments });
  }, ping);
}

async function events(host: Host, destination: string, options: PingOptions): Promise<PingEvent[]> {
  return await Array.fromAsync(host.stack.ping(destination, options));
}

for (const size of [0, 56, 1472, 1473, 20_000, 65_507]) {
  kernelTest(`the kernel answers the stack's pings of ${size} bytes`, async () => {
    await using host = new Host();
    const replies = await events(host, kernelAddress, { count: 10, interval: 5, size });
    assertEquals(replies.map(({ kind, sequence }) => ({ kind, sequence })), numbered("reply", 10));
    for (const reply of replies) {
      assertEquals(reply.kind === "reply" && [reply.bytes, reply.source, reply.timeToLive], [
        size + 8,
        kernelAddress,
        64,
      ]);
    }
  });
}

function numbered<Kind>(kind: Kind, count: number): { kind: Kind; sequence: number }[] {
  return Array.from({ length: count }, (_, index) => ({ kind, sequence: index + 1 }));
}

kernelTest("a ping of the stack to a host that is absent is unreachable", async () => {
  await using host = new Host();
  const [event] = await events(host, absentAddress, { count: 1, timeout: 20_000 });
  assertEquals(event?.kind === "error" && [event.source, event.error], [stackAddress, "Destination Host Unreachable"]);
});

const router = { settings: true, programs: ["ip"] };

kernelTest("a router that has no route says so, to pings and connections", async () => {
  await using host = routedHost();
  const [event] = await events(host, "198.51.100.1", { count: 1 });
  assertEquals(event?.kind === "error" && [event.source, event.error], [kernelAddress, "Destination Net Unreachable"]);
  await assertRejectsNamed("NetworkUnreachable", host.stack.connect({ hostname: "198.51.100.1", port: 80 }));
}, router);

for (
  const [kind, error] of [["prohibit", "Packet filtered"], ["unreachable", "Destination Host Unreachable"]] as const
) {
  kernelTest(`a router whose route says "${kind}" is quoted to the pinger`, async () => {
    await using host = routedHost();
    await run("ip", "route", "add", kind, "198.51.100.0/24");
    const [event] = await events(host, "198.51.100.1", { count: 1 });
    assertEquals(event?.kind === "error" && [event.source, event.error], [kernelAddress, error]);
  }, router);
}

kernelTest("a packet whose time to live ends at the router is named", async () => {
  await using host = routedHost();
  using _far = openTap({ hostAddresses: ["198.51.100.1/24"] });
  const [event] = await events(host, "198.51.100.9", { count: 1, timeToLive: 1 });
  assertEquals(event?.kind === "error" && [event.source, event.error], [kernelAddress, "Time to live exceeded"]);
}, router);

kernelTest("a router that may not fragment is quoted with its MTU", async () => {
  await using host = routedHost();
  using _far = openTap({ mtu: 1000, hostAddresses: ["198.51.100.1/24"] });
  const [event] = await events(host, "198.51.100.9", { count: 1, size: 1400, dontFragment: true });
  assertEquals(event?.kind === "error" && [event.source, event.error], [
    kernelAddress,
    "Frag needed and DF set (mtu = 1000)",
  ]);
}, router);

kernelTest("the kernel's ping with a short time to live reaches a neighbor", async () => {
  await using _host = new Host();
  assertStringIncludes(await run("ping", "-c", "1", "-t", "1", stackAddress), "1 received");
}, ping);

kernelTest("a protocol that the stack does not have is unreachable", async () => {
  const recorder = new Recorder();
  await using _host = new Host({ wrap: recorder.wrap });
  // Protocol 253 is for experiments (RFC 3692).
  await run("socat", "-u", "OPEN:/dev/zero,readbytes=10", `IP4-SENDTO:${stackAddress}:253`);
  // It is answered before what is sent behind it.
  await run("ping", "-c", "1", stackAddress);
  const answers = recorder.frames.filter(({ sent, network }) => sent && network?.protocol === 1);
  assertEquals(answers.length, 2);
  assertStringIncludes(answers[0]!.text, "ICMP protocol unreachable, for [IP 192.0.2.1 > 192.0.2.2: protocol 253, ");
}, { programs: ["socat", "ping"] });

kernelTest("a connection through a router that refuses fails with what it says", async () => {
  await using host = routedHost();
  await run("ip", "route", "add", "prohibit", "198.51.100.0/24");
  const attempt = host.stack.connect({ hostname: "198.51.100.1", port: 80 });
  await assertRejectsNamed("HostUnreachable", attempt);
}, router);
