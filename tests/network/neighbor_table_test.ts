import { assertEquals } from "@std/assert";
import { IpAddress } from "../../stack/address.ts";
import { Counters } from "../../stack/counters.ts";
import { BareIp } from "../../stack/link/bare_ip.ts";
import { EtherType, Nic } from "../../stack/link/nic.ts";
import { Neighbor } from "../../stack/network/neighbor.ts";
import { NeighborTable } from "../../stack/network/neighbor_table.ts";
import { below, SeededRandom } from "../../stack/random.ts";
import { RecordingDevice } from "../helpers/ipv4_host.ts";

const nics = [0, 1, 2].map((index) => {
  const link = new BareIp({ counters: new Counters() });
  return new Nic(index, `tun${index}`, new RecordingDevice(`tun${index}`, "ip"), link);
});

function neighborOf(nic: Nic, address: IpAddress): Neighbor {
  return new Neighbor({ confirm() {}, doubt() {} }, nic, EtherType.ipv4, address);
}

Deno.test("The neighbour table agrees with a plain map through additions and removals, collisions included", () => {
  const random = new SeededRandom(5);
  const table = new NeighborTable(random.uint32());
  const model = new Map<string, Neighbor>();
  for (let count = 0; count < 5000; count++) {
    const nic = nics[below(random, nics.length)]!;
    // Neighbouring interfaces and addresses are what collides most.
    const host = below(random, 8);
    const address = IpAddress.parse(below(random, 2) === 0 ? `192.0.2.${host}` : `2001:db8::${host}`);
    const key = `${nic.index} ${address}`;
    const known = model.get(key) ?? null;
    assertEquals(table.find(nic, address) === known, true);
    const view = new DataView(address.bytes.buffer);
    assertEquals(table.findAt(nic, address.family, view, 0) === known, true);
    if (known === null) {
      const neighbor = neighborOf(nic, address);
      table.add(neighbor);
      model.set(key, neighbor);
    } else if (below(random, 2) === 0) {
      table.remove(known);
      model.delete(key);
    }
    assertEquals(table.size, model.size);
  }
  assertEquals([...table.values()], [...model.values()]);
});
