import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { IpAddress } from "../../../mod.ts";
import { DhcpServer, type DhcpServerOptions, obtainLease } from "../../../stack/application/dhcp.ts";
import { soon } from "../../helpers/patience.ts";
import { absentAddress, Host, kernelAddress } from "../../kernel/host.ts";
import { kernelTest, run } from "../../kernel/namespace.ts";

/** A child process whose output is collected, line by line. */
class Child implements AsyncDisposable {
  readonly lines: string[] = [];
  readonly #process: Deno.ChildProcess;
  readonly #read: Promise<unknown>;
  #arrived = Promise.withResolvers<void>();

  constructor(program: string, ...args: string[]) {
    const options = { args, stdin: "null", stdout: "piped", stderr: "piped" } as const;
    this.#process = new Deno.Command(program, options).spawn();
    const { stdout, stderr } = this.#process;
    this.#read = Promise.all([stdout, stderr].map((stream) => this.#collect(stream)));
  }

  async #collect(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    let rest = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      const pieces = (rest + text).split("\n");
      rest = pieces.pop()!;
      this.lines.push(...pieces);
      this.#arrived.resolve();
      this.#arrived = Promise.withResolvers();
    }
  }

  /** Resolves with the first line that matches, from number `from` on. */
  async line(pattern: RegExp, from = 0): Promise<string> {
    for (;;) {
      const found = this.lines.slice(from).find((line) => pattern.test(line));
      if (found !== undefined) return found;
      await soon(this.#arrived.promise, `a line that matches ${pattern} after:\n${this.lines.join("\n")}\n`);
    }
  }

  signal(signal: Deno.Signal): void {
    this.#process.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.#process.status;
    await this.#read;
  }
}

/** A host on a TAP device without an address, and dnsmasq's DHCP server at the kernel's end. */
async function withDnsmasq(
  args: readonly string[],
  body: (host: Host, dnsmasq: Child, folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "tapstack-dhcp-" });
  try {
    await using host = new Host({ attach: { addresses: [] } });
    await using dnsmasq = new Child(
      "dnsmasq",
      "--keep-in-foreground",
      "--conf-file=/dev/null",
      "--user=root",
      "--port=0",
      `--interface=${host.tap.name}`,
      "--bind-interfaces",
      "--no-ping",
      "--dhcp-authoritative",
      `--dhcp-leasefile=${folder}/leases`,
      "--log-dhcp",
      "--log-facility=-",
      ...args,
    );
    await dnsmasq.line(/sockets bound exclusively/);
    await body(host, dnsmasq, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

kernelTest("a client leases an address from dnsmasq, renews it, uses it, and gives it back", () =>
  withDnsmasq([
    "--dhcp-range=192.0.2.50,192.0.2.60,255.255.255.0,120",
    "--dhcp-option=option:dns-server,192.0.2.53",
    "--dhcp-option=option:classless-static-route,198.51.100.0/24,192.0.2.9,0.0.0.0/0,192.0.2.1",
    "--dhcp-option=option:mtu,1400",
    "--domain=lan.test",
  ], async ({ stack, nic }, dnsmasq) => {
    const client = await soon(obtainLease(stack, nic, { probe: false, hostName: "printer" }), "a lease");
    const lease = client.lease!;
    assertMatch(String(lease.address), /^192\.0\.2\.(5\d|60)\/24$/);
    assertEquals([String(lease.server), lease.leaseTime, lease.renewalTime, lease.rebindingTime], [
      kernelAddress,
      120,
      60,
      105,
    ]);
    assertEquals(lease.routes.map(({ prefix, gateway }) => `${prefix} ${gateway}`), [
      "198.51.100.0/24 192.0.2.9",
      "0.0.0.0/0 192.0.2.1",
    ]);
    assertEquals([lease.nameServers.join(), lease.domainName, lease.mtu, nic.mtu], [
      "192.0.2.53",
      "lan.test",
      1400,
      1400,
    ]);
    const { address } = lease.address;
    assertStringIncludes(await run("ping", "-c", "1", "-W", "5", String(address)), "1 received");
    const from = dnsmasq.lines.length;
    assertEquals(client.renew(), true);
    await dnsmasq.line(new RegExp(`DHCPACK\\(\\S+\\) ${address} .* printer$`), from);
    await soon(client.bound(), "the renewal");
    while (client.state !== "bound") await new Promise((resolve) => setTimeout(resolve, 1));
    assert(client.lease!.startedAt > lease.startedAt);
    await soon(client.release(), "the release");
    await dnsmasq.line(new RegExp(`DHCPRELEASE\\(\\S+\\) ${address} `));
    assertEquals(nic.addresses, []);
  }), { programs: ["dnsmasq", "ping"] });

kernelTest(
  "a client that was started anew keeps its address; dnsmasq refuses one of another network",
  () =>
    withDnsmasq(["--dhcp-range=192.0.2.50,192.0.2.60,255.255.255.0,120"], async ({ stack, nic }, dnsmasq) => {
      const refusals = async (previousAddress: string) => {
        const client = await soon(obtainLease(stack, nic, { probe: false, previousAddress }), "a lease");
        client.stop();
        return client.counters.refused;
      };
      assertEquals(await refusals("192.0.2.57"), 0);
      assertMatch(await dnsmasq.line(/DHCP(ACK|DISCOVER)\(/), /DHCPACK\(\S+\) 192\.0\.2\.57 /);
      assertEquals(await refusals("10.9.8.7"), 1);
      await dnsmasq.line(/DHCPNAK\(\S+\) 10\.9\.8\.7 /);
      await dnsmasq.line(/DHCPDISCOVER\(/);
    }),
  { programs: ["dnsmasq"] },
);

kernelTest(
  "an address that the kernel has is found by ARP, and declined to dnsmasq",
  () =>
    withDnsmasq(["--dhcp-range=192.0.2.50,192.0.2.60,255.255.255.0,120"], async ({ stack, nic, tap }, dnsmasq) => {
      await run("ip", "address", "add", "192.0.2.57/24", "dev", tap.name);
      const warnings: string[] = [];
      const logger = { debug() {}, info() {}, warn: (text: string) => void warnings.push(text), error() {} };
      const leasing = obtainLease(stack, nic, { previousAddress: "192.0.2.57", logger });
      leasing.catch(() => {});
      await dnsmasq.line(/DHCPDECLINE\(\S+\) 192\.0\.2\.57 /);
      assertMatch(warnings[0]!, /^Declined 192\.0\.2\.57, which 192\.0\.2\.1 offered: [0-9a-f:]{17} has it$/);
      assertEquals(nic.addresses, []);
    }),
  { programs: ["dnsmasq", "ip"] },
);

/** A script for a client's configuration that sets nothing and prints what it is told. */
const script = `#!/bin/sh
echo "told: $1 $reason $ip$new_ip_address mask $subnet$new_subnet_mask router $router$new_routers" \\
  "dns $dns$new_domain_name_servers domain $domain$new_domain_name mtu $mtu$new_interface_mtu lease $lease$new_dhcp_lease_time"
`;

const ip = (text: string) => IpAddress.parse(text);

/** A server on the stack's end of a TAP device, and a script for the kernel's clients. */
async function withServer(
  options: Partial<DhcpServerOptions>,
  body: (server: DhcpServer, host: Host, folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "tapstack-dhcp-" });
  try {
    await Deno.writeTextFile(`${folder}/script`, script, { mode: 0o755 });
    await using host = new Host();
    using server = new DhcpServer(host.stack, host.nic, {
      range: [ip("192.0.2.100"), ip("192.0.2.109")],
      routers: [ip("192.0.2.2")],
      nameServers: [ip("192.0.2.53")],
      domainName: "lan.test",
      mtu: 1400,
      leaseTime: 600,
      probeTimeout: 100,
      ...options,
    });
    await body(server, host, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const told = (pattern: string) =>
  new RegExp(
    `^told: ${pattern} (192\\.0\\.2\\.10\\d) mask 255\\.255\\.255\\.0 router 192\\.0\\.2\\.2 dns 192\\.0\\.2\\.53 ` +
      "domain lan\\.test mtu 1400 lease 600$",
  );

kernelTest(
  "udhcpc leases an address from the server, and renews it in unicast",
  () =>
    withServer({}, async (server, { tap }, folder) => {
      await using client = new Child(
        "udhcpc",
        ...[
          "-f",
          "-i",
          tap.name,
          "-s",
          `${folder}/script`,
          "-O",
          "mtu",
          "-x",
          "hostname:kernel",
          "-t",
          "10",
          "-T",
          "1",
        ],
      );
      const [, address] = told("bound ").exec(await client.line(told("bound ")))!;
      const [binding] = server.leases;
      assertEquals([String(binding!.address), binding!.state, binding!.hostName], [address!, "leased", "kernel"]);
      const { expiresAt } = binding!;
      // Who renews sends from the address: it must have it.
      await run("ip", "address", "add", `${address}/24`, "dev", tap.name);
      client.signal("SIGUSR1");
      await client.line(told("renew "));
      assertEquals([server.counters.discovers, server.counters.acks], [1, 2]);
      assert(server.leases[0]!.expiresAt > expiresAt);
    }),
  { programs: ["udhcpc", "ip"] },
);

kernelTest(
  "dhclient leases an address from the server, keeps it when it is started anew, and releases it",
  () =>
    withServer({}, async (server, { tap }, folder) => {
      const dhclient = (...args: string[]) =>
        run(
          "timeout",
          "30",
          "dhclient",
          ...args,
          "-sf",
          `${folder}/script`,
          "-lf",
          `${folder}/leases`,
          "-pf",
          `${folder}/pid`,
          tap.name,
        );
      const output = await dhclient("-1", "-v");
      assertMatch(output, new RegExp(told("BOUND").source.replace("told: ", "told:  "), "m"));
      const address = String(server.leases[0]!.address);
      await run("ip", "address", "add", `${address}/24`, "dev", tap.name);
      // Started anew, it remembers the address, and asks for it without a discovery.
      await dhclient("-x");
      await dhclient("-1");
      const { discovers, requests, acks } = server.counters;
      assertEquals([discovers, acks, server.leases.length], [1, requests, 1]);
      assert(acks > 1);
      await dhclient("-r");
      while (server.counters.releases === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      assertEquals(server.leases.map(({ address, state }) => [String(address), state]), [[address, "free"]]);
    }),
  { programs: ["dhclient", "ip", "timeout"] },
);

kernelTest(
  "an address of the pool that the kernel uses is not offered",
  () =>
    withServer({ range: [ip(absentAddress), ip("192.0.2.100")] }, async (server, { tap }, folder) => {
      // Of another host on the link: a namespace of its own, beside the client's end of the device.
      const name = `tapstack-dhcp-${Deno.pid}`;
      await run("ip", "netns", "add", name);
      await using _cleanup = { [Symbol.asyncDispose]: async () => void await run("ip", "netns", "delete", name) };
      await run("ip", "link", "add", "inner", "link", tap.name, "type", "macvlan", "mode", "bridge");
      await run("ip", "link", "set", "inner", "netns", name);
      await run("ip", "-n", name, "address", "add", `${absentAddress}/24`, "dev", "inner");
      await run("ip", "-n", name, "link", "set", "inner", "up");
      await using client = new Child(
        "udhcpc",
        "-f",
        "-q",
        "-i",
        tap.name,
        "-s",
        `${folder}/script`,
        "-r",
        absentAddress,
      );
      assertStringIncludes(await client.line(/^told: bound/), "192.0.2.100 ");
      assertEquals(server.counters.conflicts, 1);
    }),
  { programs: ["udhcpc", "ip"] },
);
