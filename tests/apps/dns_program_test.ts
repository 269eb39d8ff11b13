import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { kernelTest, run } from "../kernel/namespace.ts";
import { parseQuery } from "../../apps/dns/question.ts";
import { formatData } from "../../apps/dns/report.ts";
import { RunningProgram, runToEnd } from "./run_program.ts";

for (
  const [args, reason] of [
    [[], "Missing argument: give query or serve"],
    [["ask"], 'Unknown command "ask"'],
    [["query"], "Missing argument: give a name to look up"],
    [["query", "x.test", "NONSENSE"], 'Cannot ask for records of type "NONSENSE"'],
    [["query", "x.test", "A", "B"], 'Unexpected argument "B"'],
    [["query", "x.test", "@name"], 'Cannot ask "@name": give an IPv4 address'],
    [["query", "x.test", "+fast"], 'Unknown flag "+fast"'],
    [["query", "a..b"], 'Cannot look up "a..b"'],
    [["serve", "now"], 'Unexpected argument "now"'],
  ] as const
) {
  Deno.test(`${["dns", ...args].join(" ")} is refused in one line, with 2`, async () => {
    const { code, errors, output } = await runToEnd("dns", ...args);
    assertEquals([code, errors.length, output], [2, 1, []], errors.join("\n"));
    assertStringIncludes(errors[0]!, reason);
  });
}

Deno.test("a query takes its words in any order, and an address in reverse", () => {
  assertEquals(parseQuery(["@192.0.2.1:5353", "x.test.", "+tcp", "mx", "+short"]), {
    question: { name: "x.test", type: "MX" },
    server: { ipAddr: "192.0.2.1", port: 5353 },
    tcp: true,
    short: true,
    recurse: true,
  });
  assertEquals(parseQuery(["192.0.2.7"]).question, { name: "7.2.0.192.in-addr.arpa", type: "PTR" });
  assertEquals(parseQuery(["x.test", "TYPE65"]).question.type, "UNKNOWN_65");
  assertEquals(parseQuery(["x.test", "+norecurse"]).recurse, false);
});

Deno.test("records are printed as in a zone file", () => {
  const text = (type: string, data: unknown) => formatData({ name: "x.test", type, ttl: 1, data });
  assertEquals(text("TXT", ['say "hi"', new Uint8Array([104, 105])]), '"say \\"hi\\"" "hi"');
  assertEquals(text("SRV", { priority: 1, weight: 2, port: 3, target: "a.test" }), "1 2 3 a.test.");
  assertEquals(text("UNKNOWN_65", new Uint8Array([1, 255])), "\\# 2 01FF");
  assertEquals(text("CAA", { issuerCritical: true, tag: "issue", value: "ca.test" }), '128 issue "ca.test"');
});

const long = "x".repeat(200);

/** dnsmasq as a server of names under `test` on the kernel's address. */
function startDnsmasq(): Deno.ChildProcess {
  const args = [
    "--keep-in-foreground",
    "--conf-file=/dev/null",
    "--user=root",
    "--no-resolv",
    "--no-hosts",
    "--local=/test/",
    "--local-ttl=60",
    "--host-record=host.test,192.0.2.77",
    "--cname=www.test,host.test",
    "--mx-host=host.test,mail.test,10",
    `--txt-record=long.test,${Array(8).fill(long).join(",")}`,
  ];
  return new Deno.Command("dnsmasq", { args, stdout: "null", stderr: "null" }).spawn();
}

/** Runs `body` while dnsmasq serves. */
async function withDnsmasq(body: () => Promise<void>): Promise<void> {
  const child = startDnsmasq();
  try {
    await body();
  } finally {
    child.kill("SIGTERM");
    await child.status;
  }
}

kernelTest(
  "dns query prints what dnsmasq answers, over UDP and, where that is too long, over TCP",
  () =>
    withDnsmasq(async () => {
      const query = (...args: string[]) => runToEnd("dns", "query", "--control", "none", ...args);
      const { code, output } = await query("www.test", "@192.0.2.1");
      assertEquals(code, 0);
      assertMatch(output[0]!, /^;; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: \d+$/);
      const answers = output.slice(output.indexOf(";; ANSWER SECTION:") + 1, output.indexOf(";; ANSWER SECTION:") + 3);
      assertEquals(answers, ["www.test.\t60\tIN\tCNAME\thost.test.", "host.test.\t60\tIN\tA\t192.0.2.77"]);
      assertStringIncludes(output.join("\n"), ";; SERVER: 192.0.2.1#53 (UDP)");
      assertEquals((await query("host.test", "MX", "+short")).output, ["10 mail.test."]);
      const far = await query("long.test", "TXT");
      assertStringIncludes(far.output.join("\n"), ";; SERVER: 192.0.2.1#53 (TCP)");
      assertEquals(far.output.filter((line) => line.includes(long)).length, 1);
      assertEquals((await query("192.0.2.77", "+short", "+tcp")).output, ["host.test."]);
      const missing = await query("no.test");
      assertEquals([missing.code, /status: NXDOMAIN/.test(missing.output[0]!)], [0, true]);
    }),
  { programs: ["dnsmasq"] },
);

kernelTest("dns query says in one line that nobody answers", async () => {
  const { code, errors } = await runToEnd(
    "dns",
    "query",
    "x.test",
    "@192.0.2.1:54",
    "--timeout",
    "50ms",
    "--control",
    "none",
  );
  assertEquals([code, errors.length], [1, 1]);
  assertStringIncludes(errors[0]!, "192.0.2.1:54: nobody listens on that port");
});

kernelTest("dns serve answers dig: hosts, forwarded, remembered, truncated, refused", () =>
  withDnsmasq(async () => {
    await using program = RunningProgram.start("dns", "serve", "--dns", "192.0.2.1", "--control", "none");
    await program.line(/^Serving DNS on 192\.0\.2\.2:53/);
    const dig = async (...args: string[]) => (await run("dig", "@192.0.2.2", "+time=5", "+tries=1", ...args)).trim();
    assertEquals(await dig("+short", "localhost"), "127.0.0.1");
    for (let count = 0; count < 2; count++) assertEquals(await dig("+short", "www.test"), "host.test.\n192.0.2.77");
    assertEquals(await dig("+short", "+tcp", "host.test", "MX"), "10 mail.test.");
    assertStringIncludes(await dig("long.test", "TXT"), "SERVER: 192.0.2.2#53(192.0.2.2) (TCP)");
    assertMatch(await dig("+noedns", "+ignore", "long.test", "TXT"), /flags: [a-z ]*\btc\b/);
    assertStringIncludes(await dig("no.test"), "status: NXDOMAIN");
    assertStringIncludes(await dig("+opcode=status", "x.test"), "status: NOTIMP");
    assertStringIncludes(await dig("version.bind", "CH", "TXT"), "status: REFUSED");
    assertEquals(await dig("+short", "-x", "192.0.2.77"), "host.test.");
    program.signal("SIGINT");
    assertEquals(await program.code(), 0);
    assertMatch(
      program.output.at(-1)!,
      /^Queries: \d+ \(1 from the hosts file, [2-9] from the cache, [4-9] forwarded, 0 failed, 0 malformed\)$/,
    );
  }), { programs: ["dnsmasq", "dig"] });
