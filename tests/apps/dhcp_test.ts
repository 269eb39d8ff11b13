import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { LeaseFile } from "../../apps/dhcp/lease_file.ts";
import { bindingLine, leaseJson, leaseLines } from "../../apps/dhcp/report.ts";
import { freeRange } from "../../apps/dhcp/serve_options.ts";
import { IpAddress, IpPrefix, MacAddress } from "../../mod.ts";
import type { Binding, DhcpLease } from "../../stack/application/dhcp.ts";
import { kernelTest, run } from "../kernel/namespace.ts";
import { RunningProgram, runToEnd } from "./run_program.ts";

for (
  const [args, reason] of [
    [[], "Missing argument: give client or serve"],
    [["release"], 'Unknown command "release"'],
    [["client", "now"], 'Unexpected argument "now"'],
    [["client", "--address", "192.0.2.2/24"], "Cannot use --address with dhcp client"],
    [["client", "--tun", "tun0"], "Cannot use --tun with --address dhcp: DHCP knows its clients by"],
    [["client", "--request", "x"], 'Cannot use "x" for --request: names are not resolved here'],
    [["serve", "--range", "192.0.2.10"], 'Cannot use "192.0.2.10" for --range: write it like'],
    [["serve", "--range", "192.0.2.9-x"], "write it like 192.0.2.100-192.0.2.199"],
    [["serve", "--reserve", "02:00:00:00:00:01"], "write it like 02:00:00:00:00:01=192.0.2.7"],
    [["serve", "--route", "198.51.100.0/24"], "write it like 198.51.100.0/24=192.0.2.1"],
    [["serve", "--domain", "a b"], "give letters, digits, dots and dashes"],
    [["serve", "--lease", "0"], "give a whole number from 1"],
    [["serve", "--address", "dhcp"], "Cannot serve with --address dhcp: give the server an address"],
    [["serve", "--client-mtu", "100"], "give a whole number from 576 to 65535"],
  ] as const
) {
  Deno.test(`${["dhcp", ...args].join(" ")} is refused in one line, with 2`, async () => {
    const { code, errors, output } = await runToEnd("dhcp", ...args);
    assertEquals([code, errors.length, output], [2, 1, []], errors.join("\n"));
    assertStringIncludes(errors[0]!, reason);
  });
}

for (const option of [["--gateway", "192.0.2.1"], ["--guard"], ["--tun", "tun0"]]) {
  Deno.test(`a program with ${option.join(" ")} and --address dhcp is refused in one line, with 2`, async () => {
    const { code, errors } = await runToEnd("ping", "--address", "dhcp", ...option);
    assertEquals([code, errors.length], [2, 1]);
    assertStringIncludes(errors[0]!, `Cannot use ${option[0]} with --address dhcp`);
  });
}

const ip = (text: string) => IpAddress.parse(text);

Deno.test("the longest run of addresses that nobody has is leased", () => {
  const range = (subnet: string, ...taken: string[]) =>
    freeRange(IpPrefix.parse(subnet), taken.map(ip))?.join("-") ?? null;
  assertEquals(range("192.0.2.2/24", "192.0.2.1", "192.0.2.2"), "192.0.2.3-192.0.2.254");
  assertEquals(range("192.0.2.2/24", "192.0.2.254", "192.0.2.200", "10.0.0.1"), "192.0.2.1-192.0.2.199");
  assertEquals(range("192.0.2.0/31", "192.0.2.0"), "192.0.2.1-192.0.2.1");
  assertEquals(range("192.0.2.1/32", "192.0.2.1"), null);
  assertEquals(range("192.0.2.1/30", "192.0.2.1", "192.0.2.2"), null);
  assertEquals(range("10.0.0.1/8", "10.0.0.1"), "10.0.0.2-10.1.0.0");
});

const binding: Binding = {
  address: ip("192.0.2.7"),
  client: "02:00:00:00:00:07",
  mac: MacAddress.parse("02:00:00:00:00:07"),
  hostName: "printer",
  state: "leased",
  expiresAt: 61_000,
};

Deno.test("what becomes of a lease reads as a sentence", () => {
  const line = (changes: Partial<Binding>) => bindingLine({ ...binding, ...changes }, 1000);
  assertEquals(line({}), "192.0.2.7 leased to 02:00:00:00:00:07 (printer) for 60 s");
  assertEquals(line({ hostName: null, expiresAt: Infinity }), "192.0.2.7 leased to 02:00:00:00:00:07 for ever");
  assertEquals(line({ state: "free" }), "192.0.2.7 given back by 02:00:00:00:00:07 (printer)");
  assertEquals(line({ state: "declined" }), "192.0.2.7 is in use by somebody else");
  assertEquals(line({ state: "offered" }), "192.0.2.7 offered to 02:00:00:00:00:07 (printer)");
});

Deno.test("a lease for ever is shown, and is null in JSON", () => {
  const lease: DhcpLease = {
    address: IpPrefix.parse("192.0.2.7/24"),
    server: ip("192.0.2.1"),
    leaseTime: Infinity,
    renewalTime: Infinity,
    rebindingTime: Infinity,
    startedAt: 0,
    routes: [{ prefix: IpPrefix.parse("198.51.100.0/24"), gateway: null }],
    routers: [],
    nameServers: [],
    domainName: null,
    hostName: null,
    mtu: null,
    options: new Map(),
  };
  assertEquals(leaseLines(lease), [
    "  address  192.0.2.7/24",
    "  server   192.0.2.1",
    "  lease    for ever",
    "  routes   198.51.100.0/24",
  ]);
  assertEquals(leaseJson(lease).leaseTime, null);
  assertEquals(leaseJson(lease).routes, [{ prefix: "198.51.100.0/24", gateway: null }]);
});

Deno.test("a file of leases is read as it was written, on another clock; what is none is refused in one line", async () => {
  const path = await Deno.makeTempFile({ prefix: "tapstack-leases-" });
  try {
    const forEver: Binding = {
      ...binding,
      address: ip("192.0.2.8"),
      client: "01",
      hostName: null,
      expiresAt: Infinity,
    };
    new LeaseFile(path, 1000).write([binding, forEver, { ...binding, state: "offered" }]);
    const [first, second, ...rest] = new LeaseFile(path, 501_000).read();
    assertEquals([String(first!.address), String(first!.mac), first!.hostName, first!.state], [
      "192.0.2.7",
      "02:00:00:00:00:07",
      "printer",
      "leased",
    ]);
    assert(Math.abs(first!.expiresAt - 561_000) < 1000, `${first!.expiresAt}`);
    assertEquals([second!.expiresAt, rest], [Infinity, []]);
    for (const text of ["nonsense", "{}", '[{"address":"192.0.2.7"}]', "[null]"]) {
      await Deno.writeTextFile(path, text);
      const error = assertThrows(
        () => new LeaseFile(path, 0).read(),
        Error,
        `Cannot read "${path}" as a file of leases`,
      );
      assertEquals(error.message.includes("\n"), false);
    }
    assertThrows(() => new LeaseFile("/", 0).read(), Error, 'Cannot read "/"');
    assertThrows(() => new LeaseFile("/nowhere/leases", 0).write([]), Error, 'Cannot write "/nowhere/leases"');
  } finally {
    await Deno.remove(path);
  }
  assertEquals(new LeaseFile(path, 0).read(), []);
});

kernelTest("dhcp serve leases addresses to udhcpc, reserved ones too, and remembers them in its file", async () => {
  const leases = await Deno.makeTempFile({ prefix: "tapstack-leases-" });
  await Deno.remove(leases);
  await run("ip", "tuntap", "add", "tap7", "mode", "tap");
  await run("ip", "link", "set", "tap7", "address", "02:00:00:00:00:77");
  const serve = async (...args: string[]) => {
    const options = ["--tap", "tap7", "--control", "none", "--leases", leases, "--no-probe", ...args];
    const program = RunningProgram.start("dhcp", "serve", ...options);
    await program.line(/^Leasing 192\.0\.2\.\d+ to 192\.0\.2\.\d+ on tap7 as 192\.0\.2\.2, Ctrl-C ends\.$/);
    return program;
  };
  const lease = async () => {
    const text = await run("udhcpc", "-f", "-q", "-i", "tap7", "-s", "/bin/true", "-t", "10", "-T", "1");
    return text;
  };
  try {
    {
      await using program = await serve("--range", "192.0.2.100-192.0.2.100", "--json");
      await lease();
      const event = JSON.parse(await program.line(/"leased"/));
      assertEquals(event, {
        event: "leased",
        address: "192.0.2.100",
        mac: "02:00:00:00:00:77",
        hostName: null,
        seconds: 3600,
      });
      program.signal("SIGINT");
      assertEquals(await program.code(), 0);
    }
    {
      // The same client gets what the file says, although the range has many.
      await using program = await serve("--range", "192.0.2.90-192.0.2.120");
      await lease();
      await program.line(/^192\.0\.2\.100 leased to 02:00:00:00:00:77 for 3600 s$/);
    }
    await Deno.remove(leases);
    await using program = await serve("--reserve", "02:00:00:00:00:77=192.0.2.7", "--lease", "60");
    await lease();
    await program.line(/^192\.0\.2\.7 leased to 02:00:00:00:00:77 for 60 s$/);
  } finally {
    await Deno.remove(leases);
  }
}, { programs: ["udhcpc", "ip"] });

kernelTest("dhcp serve refuses what does not fit the link, with 2, and a file that is none, with 1", async () => {
  const outside = await runToEnd("dhcp", "serve", "--range", "10.0.0.1-10.0.0.9", "--control", "none");
  assertEquals([outside.code, outside.errors.length], [2, 1]);
  assertStringIncludes(outside.errors[0]!, "Cannot lease 10.0.0.1: it is no host's address in 192.0.2.0/24");
  const file = await runToEnd("dhcp", "serve", "--leases", "/proc/self/status", "--control", "none");
  assertEquals([file.code, file.errors.length], [1, 1]);
  assertStringIncludes(file.errors[0]!, 'Cannot read "/proc/self/status" as a file of leases');
  const nowhere = await runToEnd("dhcp", "serve", "--leases", "/proc/none/leases", "--control", "none");
  assertEquals([nowhere.code, nowhere.errors.length], [1, 1]);
  assertStringIncludes(nowhere.errors[0]!, 'Cannot write "/proc/none/leases": ');
});

/** Runs `body` while dnsmasq leases addresses on a TAP device. */
async function withDnsmasq(body: () => Promise<void>): Promise<void> {
  await run("ip", "tuntap", "add", "tap7", "mode", "tap");
  await run("ip", "address", "add", "192.0.2.1/24", "dev", "tap7");
  await run("ip", "link", "set", "tap7", "up");
  const folder = await Deno.makeTempDir({ prefix: "tapstack-dhcp-" });
  const args = [
    ...["--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--interface=tap7", "--bind-interfaces"],
    ...["--no-ping", "--dhcp-authoritative", "--dhcp-range=192.0.2.50,192.0.2.60,255.255.255.0,120"],
    ...[`--dhcp-leasefile=${folder}/leases`, "--no-resolv", "--no-hosts", "--host-record=host.test,192.0.2.77"],
  ];
  const child = new Deno.Command("dnsmasq", { args, stdout: "null", stderr: "null" }).spawn();
  try {
    await body();
  } finally {
    child.kill("SIGTERM");
    await child.status;
    await Deno.remove(folder, { recursive: true });
  }
}

kernelTest("dhcp client shows what dnsmasq says, and gives the address back", () =>
  withDnsmasq(async () => {
    const { code, output, errors } = await runToEnd(
      "dhcp",
      ...["client", "--tap", "tap7", "--once", "--json", "--no-probe", "--control", "none", "--host-name", "printer"],
    );
    assertEquals([code, errors], [0, []]);
    const [leased, lost] = output.map((line) => JSON.parse(line));
    assertMatch(leased.address, /^192\.0\.2\.(5\d|60)\/24$/);
    assertEquals([leased.event, leased.server, leased.leaseTime, leased.nameServers, leased.hostName], [
      "leased",
      "192.0.2.1",
      120,
      ["192.0.2.1"],
      "printer",
    ]);
    assertEquals(leased.routes, [{ prefix: "0.0.0.0/0", gateway: "192.0.2.1" }]);
    assertEquals(lost, { event: "lost", address: leased.address, state: "stopped" });
    await using program = RunningProgram.start(
      "dhcp",
      ...["client", "--tap", "tap7", "--no-probe", "--control", "none", "--request", "192.0.2.55"],
    );
    await program.line(/^ {2}address {2}192\.0\.2\.55\/24$/);
    assertStringIncludes(await run("ping", "-c", "1", "-W", "5", "192.0.2.55"), "1 received");
    program.signal("SIGTERM");
    assertEquals([await program.code(), program.output.at(-1)], [0, "Gave up 192.0.2.55/24"]);
  }), { programs: ["dnsmasq", "ip", "ping"] });

kernelTest(
  "a program with --address dhcp leases its address, asks the DNS server that came with it, and gives it back",
  () =>
    withDnsmasq(async () => {
      const { code, output, errors } = await runToEnd(
        "dns",
        ...["query", "host.test", "+short", "--tap", "tap7", "--address", "dhcp", "--control", "none"],
      );
      assertEquals([code, output], [0, ["192.0.2.77"]], errors.join("\n"));
      assertEquals(errors[0], "Leasing an address for tap7 by DHCP");
      assertMatch(errors[1]!, /^Leased 192\.0\.2\.(5\d|60)\/24 from 192\.0\.2\.1 for 120 seconds$/);
      assertEquals(errors.length, 2);
    }),
  { programs: ["dnsmasq", "ip"] },
);

kernelTest(
  "on an interface of the host, whose Ethernet address it shares, a stack gets a lease of its own",
  async () => {
    // A server far away: its namespace is that of a process.
    await run("ip", "link", "add", "near7", "type", "veth", "peer", "name", "far7");
    const range = "--dhcp-range=192.0.2.50,192.0.2.60,255.255.255.0,120";
    const folder = await Deno.makeTempDir({ prefix: "tapstack-dhcp-" });
    const far = `tapstack-far-${Deno.pid}`;
    await run("ip", "netns", "add", far);
    const args = [
      ...["netns", "exec", far, "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--port=0"],
      ...["--interface=far7", "--bind-interfaces", "--no-ping", range, `--dhcp-leasefile=${folder}/leases`],
    ];
    try {
      await run("ip", "link", "set", "far7", "netns", far);
      await run("ip", "-n", far, "address", "add", "192.0.2.9/24", "dev", "far7");
      for (const end of [["link", "set", "near7", "up"], ["-n", far, "link", "set", "far7", "up"]]) {
        await run(
          "ip",
          ...end,
        );
      }
      const server = new Deno.Command("ip", { args, stdout: "null", stderr: "null" }).spawn();
      try {
        await run("udhcpc", "-f", "-q", "-i", "near7", "-s", "/bin/true", "-t", "10", "-T", "1");
        const client = ["client", "--interface", "near7", "--once", "--json", "--no-probe", "--control", "none"];
        const { code, output, errors } = await runToEnd("dhcp", ...client);
        assertEquals([code, errors], [0, []]);
        const leases = (await Deno.readTextFile(`${folder}/leases`)).trim().split("\n").map((line) => line.split(" "));
        const [[, mac, hosts]] = leases as [string[]];
        assertEquals(leases.length, 1);
        assertEquals(JSON.parse(output[0]!).address === `${hosts}/24`, false);
        assertMatch(mac!, /^[0-9a-f:]{17}$/);
      } finally {
        server.kill("SIGTERM");
        await server.status;
      }
    } finally {
      await run("ip", "netns", "delete", far);
      await Deno.remove(folder, { recursive: true });
    }
  },
  { programs: ["dnsmasq", "udhcpc", "ip"] },
);

kernelTest("dhcp client says in one line that nobody answers; a signal ends it", async () => {
  const { code, errors } = await runToEnd("dhcp", "client", "--timeout", "100ms", "--control", "none");
  assertEquals([code, errors.length], [1, 2]);
  assertMatch(errors[0]!, /^Leasing an address for tap\d+ by DHCP, Ctrl-C ends\.$/);
  assertMatch(errors[1]!, /^dhcp: Cannot lease an address for tap\d+: no DHCP server has granted one in 100 ms$/);
  await using program = RunningProgram.start("dhcp", "client", "--control", "none", "--log-level", "debug");
  await program.line(/selecting/);
  program.signal("SIGINT");
  assertEquals(await program.code(), 130);
});

kernelTest("a program that waits for its address ends with the signal's code", async () => {
  await using program = RunningProgram.start("echo", "--address", "dhcp", "--control", "none");
  await program.line(/^Leasing an address for tap\d+ by DHCP$/);
  program.signal("SIGINT");
  assertEquals(await program.code(), 130);
});
