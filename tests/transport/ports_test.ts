import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { IpAddress } from "../../stack/address.ts";
import { SeededRandom } from "../../stack/random.ts";
import { Ports, Sharing } from "../../stack/transport/ports.ts";

const udp = 17;
const tcp = 6;
const any = IpAddress.unspecified4;
const first = IpAddress.parse("192.0.2.1");
const second = IpAddress.parse("192.0.2.2");
const peer = { address: IpAddress.parse("198.51.100.1"), port: 80 };
const range = Ports.ephemeralLast - Ports.ephemeralFirst + 1;

function makePorts(seed = 1): Ports {
  return new Ports(new SeededRandom(seed));
}

Deno.test("a port is taken for the same protocol, family and address only", () => {
  const ports = makePorts();
  assert(ports.reserve({ protocol: udp, address: first }, 53));
  assertEquals(ports.reserve({ protocol: udp, address: first }, 53), null);
  assert(ports.reserve({ protocol: udp, address: first }, 54));
  assert(ports.reserve({ protocol: udp, address: second }, 53));
  assert(ports.reserve({ protocol: tcp, address: first }, 53));
  assert(ports.reserve({ protocol: udp, address: IpAddress.loopback6 }, 53));
});

Deno.test("ephemeral ports are those of the stack's share, where several stacks divide them", () => {
  const ports = makePorts();
  ports.share = { index: 2, count: 3 };
  const chosen = new Set<number>();
  for (const remote of [undefined, peer]) {
    for (let count = 0; count < 100; count++) {
      chosen.add(ports.reserveEphemeral({ protocol: tcp, address: first, ...(remote && { remote }) })!.port);
    }
  }
  assertEquals(chosen.size, 200);
  assertEquals([...chosen].filter((port) => port % 3 !== 2), []);
});

Deno.test("the unspecified address conflicts with every address of its family, both ways", () => {
  const ports = makePorts();
  const wildcard = ports.reserve({ protocol: udp, address: any }, 53)!;
  assertEquals(ports.reserve({ protocol: udp, address: first }, 53), null);
  assert(ports.reserve({ protocol: udp, address: IpAddress.unspecified6 }, 53));
  wildcard.release();
  assert(ports.reserve({ protocol: udp, address: first }, 53));
  assertEquals(ports.reserve({ protocol: udp, address: any }, 53), null);
});

Deno.test("a port is shared only when all of its holders share it", () => {
  const ports = makePorts();
  for (const sharing of [Sharing.reuse, Sharing.flow]) {
    const holders = [1, 2].map(() => ports.reserve({ protocol: udp, address: any, sharing }, 53)!);
    for (const other of [Sharing.exclusive, Sharing.reuse, Sharing.flow]) {
      const reservation = ports.reserve({ protocol: udp, address: first, sharing: other }, 53);
      assertEquals(reservation !== null, other !== Sharing.exclusive);
      reservation?.release();
    }
    for (const holder of holders) holder.release();
  }
  assertEquals(ports.size, 0);
});

Deno.test("a released port is free again, and releasing it twice gives back nobody else's", () => {
  const ports = makePorts();
  const reservation = ports.reserve({ protocol: udp, address: any }, 53)!;
  reservation.release();
  const next = ports.reserve({ protocol: udp, address: any }, 53);
  assert(next);
  reservation.release();
  assertEquals(ports.size, 1);
  assertEquals(ports.reserve({ protocol: udp, address: any }, 53), null);
});

Deno.test("ephemeral ports come from 49152 to 65535 and are all handed out before none is left", () => {
  const ports = makePorts();
  const seen = new Set<number>();
  for (let count = 0; count < range; count++) {
    const { port } = ports.reserveEphemeral({ protocol: udp, address: any })!;
    assert(port >= 49152 && port <= 65535, `${port} is no ephemeral port`);
    seen.add(port);
  }
  assertEquals(seen.size, range);
  assertEquals(ports.reserveEphemeral({ protocol: udp, address: any }), null);
  assertEquals(ports.size, range);
  assert(ports.reserveEphemeral({ protocol: tcp, address: any }));
});

Deno.test("without a remote end an ephemeral port does not follow from the one before", () => {
  const ports = makePorts();
  const drawn = Array.from({ length: 8 }, () => ports.reserveEphemeral({ protocol: udp, address: any })!.port);
  const steps = new Set(drawn.slice(1).map((port, index) => port - drawn[index]!));
  assertEquals(steps.size, 7);
});

Deno.test("towards one remote end ephemeral ports go up by one, so that a port returns late", () => {
  const ports = makePorts();
  const drawn = Array.from({ length: 4 }, () => {
    const reservation = ports.reserveEphemeral({ protocol: tcp, address: first, remote: peer })!;
    reservation.release();
    return reservation.port;
  });
  for (let at = 1; at < drawn.length; at++) assertEquals((drawn[at]! - drawn[at - 1]! + range) % range, 1);
});

Deno.test("where ephemeral ports start depends on the remote end and on the secret", () => {
  const startOf = (seed: number, address: string) =>
    makePorts(seed).reserveEphemeral({
      protocol: tcp,
      address: first,
      remote: { address: IpAddress.parse(address), port: 80 },
    })!.port;
  assertEquals(startOf(1, "198.51.100.1"), startOf(1, "198.51.100.1"));
  assertNotEquals(startOf(1, "198.51.100.1"), startOf(1, "198.51.100.2"));
  assertNotEquals(startOf(1, "198.51.100.1"), startOf(2, "198.51.100.1"));
});

Deno.test("an ephemeral port that the predicate refuses is passed over, and nothing is held when it refuses all", () => {
  const ports = makePorts();
  const request = { protocol: tcp, address: first, remote: peer, sharing: Sharing.flow };
  assertEquals(ports.reserveEphemeral({ ...request, available: (port) => port === 50000 })!.port, 50000);
  assertEquals(ports.reserveEphemeral({ ...request, available: () => false }), null);
  assertEquals(ports.size, 1);
});

Deno.test("two flows may share an ephemeral port that their predicates allow", () => {
  const ports = makePorts();
  const request = { protocol: tcp, address: first, remote: peer, sharing: Sharing.flow };
  const available = (port: number) => port === 50000;
  assertEquals(ports.reserveEphemeral({ ...request, available })!.port, 50000);
  assertEquals(ports.reserveEphemeral({ ...request, available })!.port, 50000);
  assertEquals(ports.size, 2);
});

Deno.test("the listing shows every reservation in order of protocol, family and port", () => {
  const ports = makePorts();
  ports.reserve({ protocol: udp, address: any }, 53);
  ports.reserve({ protocol: tcp, address: IpAddress.unspecified6 }, 22);
  ports.reserve({ protocol: tcp, address: any }, 80);
  ports.reserve({ protocol: tcp, address: first }, 22);
  assertEquals(
    ports.list().map(({ protocol, address, port }) => `${protocol} ${address} ${port}`),
    ["6 192.0.2.1 22", "6 0.0.0.0 80", "6 :: 22", "17 0.0.0.0 53"],
  );
});
