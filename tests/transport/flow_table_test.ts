import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { IpAddress } from "../../stack/address.ts";
import { below, SeededRandom } from "../../stack/random.ts";
import type { Endpoint } from "../../stack/transport/endpoint.ts";
import { type Flow, FlowTable } from "../../stack/transport/flow_table.ts";

class TestFlow implements Flow {
  readonly local: Endpoint;
  readonly remote: Endpoint | null;
  flowHash = 0;

  constructor(local: string, localPort: number, remote: string | null, remotePort = 0) {
    this.local = { address: IpAddress.parse(local), port: localPort };
    this.remote = remote === null ? null : { address: IpAddress.parse(remote), port: remotePort };
  }
}

/** Looks a flow up as a packet would: by bytes. */
function find(table: FlowTable<TestFlow>, flow: TestFlow): TestFlow | null {
  const { local, remote } = flow;
  const bytes = new Uint8Array([...local.address.bytes, ...remote!.address.bytes]);
  const view = new DataView(bytes.buffer);
  return table.find(view, local.address.family, 0, local.port, local.address.bytes.length, remote!.port);
}

Deno.test("a flow is found by the words of its two ends, in both families", () => {
  const table = new FlowTable<TestFlow>(new SeededRandom(1));
  const four = new TestFlow("192.0.2.1", 7, "192.0.2.2", 40000);
  const six = new TestFlow("2001:db8::1", 7, "2001:db8::2", 40000);
  assert(table.add(four) && table.add(six));
  assertStrictEquals(find(table, four), four);
  assertStrictEquals(find(table, six), six);
});

Deno.test("a flow that differs in any of the four parts is not found", () => {
  const table = new FlowTable<TestFlow>(new SeededRandom(1));
  table.add(new TestFlow("192.0.2.1", 7, "192.0.2.2", 40000));
  assertEquals(find(table, new TestFlow("192.0.2.3", 7, "192.0.2.2", 40000)), null);
  assertEquals(find(table, new TestFlow("192.0.2.1", 8, "192.0.2.2", 40000)), null);
  assertEquals(find(table, new TestFlow("192.0.2.1", 7, "192.0.2.3", 40000)), null);
  assertEquals(find(table, new TestFlow("192.0.2.1", 7, "192.0.2.2", 40001)), null);
  assertEquals(find(table, new TestFlow("192.0.2.2", 40000, "192.0.2.1", 7)), null);
});

Deno.test("flows whose addresses are alike as one word are told apart, right after one of them was found", () => {
  const alike = [
    new TestFlow("2001:db8::1", 7, "2001:db8::2", 40000),
    new TestFlow("2001:db8:0:1::", 7, "2001:db8::2", 40000),
    new TestFlow("2001:db8::1", 7, "2001:db8:0:2::", 40000),
    new TestFlow("::2001:db9", 7, "::2001:dba", 40000),
    new TestFlow("32.1.13.185", 7, "32.1.13.186", 40000),
  ];
  for (const flow of alike) {
    const table = new FlowTable<TestFlow>(new SeededRandom(1));
    table.add(flow);
    for (const other of alike) {
      assertStrictEquals(find(table, flow), flow);
      assertStrictEquals(find(table, other), other === flow ? flow : null);
    }
  }
});

Deno.test("a 4-tuple can be held once, and a flow without a remote end not at all", () => {
  const table = new FlowTable<TestFlow>(new SeededRandom(1));
  assert(table.add(new TestFlow("192.0.2.1", 7, "192.0.2.2", 40000)));
  assertEquals(table.add(new TestFlow("192.0.2.1", 7, "192.0.2.2", 40000)), false);
  assertEquals(table.add(new TestFlow("192.0.2.1", 7, null)), false);
  assertEquals(table.size, 1);
});

Deno.test("a flow that was found and then removed is not found again", () => {
  const table = new FlowTable<TestFlow>(new SeededRandom(1));
  const [flow, other] = [40000, 40001].map((port) => new TestFlow("192.0.2.1", 7, "192.0.2.2", port)) as [
    TestFlow,
    TestFlow,
  ];
  table.add(flow);
  table.add(other);
  assertStrictEquals(find(table, flow), flow);
  assertStrictEquals(find(table, other), other);
  assertStrictEquals(find(table, flow), flow);
  table.remove(flow);
  assertEquals(find(table, flow), null);
});

Deno.test("any sequence of additions and removals leaves what a map would hold", () => {
  const random = new SeededRandom(7);
  const table = new FlowTable<TestFlow>(random);
  const model = new Map<string, TestFlow>();
  for (let step = 0; step < 5000; step++) {
    const port = below(random, 400);
    const host = below(random, 3);
    const key = `${host} ${port}`;
    const known = model.get(key);
    if (known !== undefined && below(random, 2) === 0) {
      assert(table.remove(known));
      assertEquals(table.remove(known), false);
      model.delete(key);
    } else {
      const flow = new TestFlow("192.0.2.1", 7, `192.0.2.${host}`, port);
      assertEquals(table.add(flow), known === undefined);
      if (known === undefined) model.set(key, flow);
    }
    assertEquals(table.size, model.size);
  }
  for (const flow of model.values()) assertStrictEquals(find(table, flow), flow);
  assertEquals(new Set(table.values()).difference(new Set(model.values())).size, 0);
  assertEquals(table.values().length, model.size);
  for (const flow of table.values()) table.remove(flow);
  assertEquals(table.size, 0);
});
