/**
 * Records corpus.pcapng: real traffic between two Linux kernels' network namespaces, both ends' frames, from which the
 * fuzz tests make their mutants. The second end is 10.9.0.2 with hardware address 02:00:00:00:00:02.
 *
 * Run as root, with iproute2, iputils-ping, nftables, socat and tcpdump installed:
 *
 *     deno run --allow-run --allow-read --allow-write tests/fuzz/record_corpus.ts
 *
 * @module
 */

import { readCapture } from "../../stack/link/pcap_reader.ts";
import {
  Direction,
  enhancedPacketBlock,
  interfaceDescriptionBlock,
  LinkType,
  sectionHeaderBlock,
} from "../../stack/link/pcapng.ts";

const left = `tapstack-left-${Deno.pid}`;
const right = `tapstack-right-${Deno.pid}`;
const target = new URL("./corpus.pcapng", import.meta.url);

async function run(command: string, ...args: string[]): Promise<boolean> {
  const { success } = await new Deno.Command(command, { args, stdin: "null", stdout: "null", stderr: "null" }).output();
  return success;
}

async function must(command: string): Promise<void> {
  const [program, ...args] = command.split(" ");
  if (!(await run(program!, ...args))) throw new Error(`Cannot record the corpus: "${command}" failed`);
}

/** Runs a shell line in a namespace; whether it succeeds does not matter: most of these are meant to fail. */
async function provoke(namespace: string, line: string): Promise<void> {
  await run("ip", "netns", "exec", namespace, "timeout", "5", "sh", "-c", line);
}

function serve(namespace: string, ...args: string[]): Deno.ChildProcess {
  return new Deno.Command("ip", {
    args: ["netns", "exec", namespace, ...args],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
}

const pause = (duration: number) => new Promise((resolve) => setTimeout(resolve, duration));

async function setUp(): Promise<void> {
  await must(`ip netns add ${left}`);
  await must(`ip netns add ${right}`);
  await must(`ip -n ${left} link add veth0 address 02:00:00:00:00:01 type veth peer name veth1 netns ${right}`);
  await must(`ip -n ${right} link set veth1 address 02:00:00:00:00:02`);
  for (const [namespace, device, address] of [[left, "veth0", "10.9.0.1/24"], [right, "veth1", "10.9.0.2/24"]]) {
    await must(`ip -n ${namespace} address add ${address} dev ${device}`);
    await must(`ip -n ${namespace} link set ${device} up`);
    await must(`ip -n ${namespace} link set lo up`);
    // Offloads would let frames through that no wire carries.
    await run(
      "ip",
      ..."netns exec".split(" "),
      namespace!,
      ..."ethtool -K".split(" "),
      device!,
      "tso",
      "off",
      "gso",
      "off",
      "tx",
      "off",
    );
  }
  // A second network behind the right end, with a smaller MTU: what errors about forwarding come from.
  await must(`ip -n ${right} link add veth2 mtu 1000 type veth peer name veth3`);
  await must(`ip -n ${right} address add 10.8.0.1/24 dev veth2`);
  await must(`ip -n ${right} link set veth2 up`);
  await must(`ip -n ${right} link set veth3 up`);
  await must(`ip netns exec ${right} sysctl -q -w net.ipv4.ip_forward=1`);
  await must(`ip -n ${left} route add 10.8.0.0/24 via 10.9.0.2`);
  await must(`ip -n ${left} route add 10.7.0.0/24 via 10.9.0.2`);
}

async function makeTraffic(): Promise<void> {
  const echo = "ping -n -W 1";
  await provoke(left, `${echo} -c 2 -i 0.2 10.9.0.2`);
  await provoke(right, `${echo} -c 1 10.9.0.1`);
  await provoke(left, `${echo} -c 1 -s 4000 10.9.0.2`);
  await provoke(left, `${echo} -c 1 -b 10.9.0.255`);
  await provoke(left, `${echo} -c 1 10.9.0.77`);
  await provoke(left, `${echo} -c 1 -t 1 10.8.0.9`);
  await provoke(left, `${echo} -c 1 10.7.0.9`);
  await provoke(left, `${echo} -c 1 -M do -s 1200 10.8.0.9`);
  await provoke(left, `${echo} -c 1 -T tsonly 10.9.0.2`);
  await provoke(left, `${echo} -c 1 -R 10.9.0.2`);
  await provoke(left, "echo hello | socat - UDP:10.9.0.2:7,shut-none");
  await provoke(left, "echo hello | socat -t 0.3 - UDP:10.9.0.2:9");
  await provoke(left, "head -c 5000 /dev/zero | socat -b 5000 -t 0.3 - UDP:10.9.0.2:7");
  await provoke(left, "echo hello | socat -t 0.3 - UDP-DATAGRAM:10.9.0.255:7,broadcast");
  await provoke(left, "echo hello | socat -t 0.3 - UDP-DATAGRAM:224.1.2.3:7");
  await provoke(right, "socat -t 0.3 -u UDP-RECV:99,ip-add-membership=224.1.2.3:veth1 - & sleep 0.3; kill $!");
  await provoke(left, "echo hello | socat -t 0.5 - TCP:10.9.0.2:7");
  await provoke(left, "echo hello | socat -t 0.3 - TCP:10.9.0.2:9");
  await provoke(right, "echo hello | socat -t 0.3 - TCP:10.9.0.1:9");
  await provoke(left, "head -c 6000 /dev/urandom | socat -t 0.5 - TCP:10.9.0.2:7");
  await provoke(left, "echo hello | socat -t 0.3 - TCP:10.9.0.2:7,linger=0");
  // Loss makes retransmissions and selective acknowledgements.
  for (const [namespace, port] of [[left, "sport"], [right, "dport"]]) {
    const rule = `add rule ip loss input tcp ${port} 7 numgen inc mod 7 == 3 drop`;
    const chain = "add chain ip loss input { type filter hook input priority 0; }";
    await must(`ip netns exec ${namespace} nft add table ip loss`);
    await must(`ip netns exec ${namespace} nft ${chain}`);
    await must(`ip netns exec ${namespace} nft ${rule}`);
  }
  await provoke(left, "head -c 20000 /dev/urandom | socat -t 1 - TCP:10.9.0.2:7");
  for (const namespace of [left, right]) await must(`ip netns exec ${namespace} nft delete table ip loss`);
  await provoke(
    left,
    "sysctl -q -w net.ipv4.tcp_timestamps=0 net.ipv4.tcp_ecn=1; echo hello | socat -t 0.3 - TCP:10.9.0.2:7",
  );
}

async function record(path: string): Promise<void> {
  const tcpdump = serve(left, "tcpdump", "-Z", "root", "--immediate-mode", "-i", "veth0", "-U", "-w", path);
  const servers = [
    serve(right, "socat", "TCP-LISTEN:7,fork,reuseaddr", "EXEC:cat"),
    serve(right, "socat", "UDP-RECVFROM:7,fork", "EXEC:cat"),
  ];
  try {
    await pause(1000);
    await makeTraffic();
    await pause(500);
  } finally {
    for (const process of [tcpdump, ...servers]) {
      process.kill("SIGTERM");
      await process.status;
    }
  }
}

/** Both ends' frames, in order. */
function convert(file: Uint8Array): Uint8Array[] {
  return [
    sectionHeaderBlock("tapstack record_corpus"),
    interfaceDescriptionBlock({ linkType: LinkType.ethernet, snapLength: 0, name: "veth1" }),
    ...readCapture(file).frames.map(({ timestamp, originalLength, bytes }) =>
      enhancedPacketBlock({
        interfaceIndex: 0,
        timestamp: Math.round(timestamp * 1000),
        // Seen from the second end, whose address ends in 2.
        direction: bytes[11] === 2 ? Direction.outbound : Direction.inbound,
        originalLength,
      }, bytes)
    ),
  ];
}

if (import.meta.main) {
  const path = await Deno.makeTempFile({ suffix: ".pcap" });
  try {
    await setUp();
    await record(path);
    const blocks = convert(await Deno.readFile(path));
    await Deno.writeFile(target, new Uint8Array(await new Blob(blocks as Uint8Array<ArrayBuffer>[]).arrayBuffer()));
    console.log(`${blocks.length - 2} frames recorded in ${target.pathname}`);
  } finally {
    await run("ip", "netns", "delete", left);
    await run("ip", "netns", "delete", right);
    await Deno.remove(path);
  }
}
