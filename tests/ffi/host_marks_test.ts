import { assertEquals } from "@std/assert";
import { formatMark, type HostMark, parseMark } from "../../ffi/host_marks.ts";
import { IpAddress, IpPrefix } from "../../stack/address.ts";

const marks: readonly (readonly [text: string, mark: HostMark])[] = [
  [
    "tapstack-000z-7-up-0-1-mtu-1500-1400-queue-1000-0",
    {
      lease: 35,
      serial: 7,
      change: {
        before: { up: false, mtu: 1500, txQueueLength: 1000 },
        after: { up: true, mtu: 1400, txQueueLength: 0 },
      },
    },
  ],
  [
    "tapstack-zzzz-1-mtu-1400-1500",
    { lease: 36 ** 4 - 1, serial: 1, change: { before: { mtu: 1400 }, after: { mtu: 1500 } } },
  ],
  [
    "tapstack-0001-2-address-10.1.1.1-32-peer-10.1.1.2",
    { lease: 1, serial: 2, change: { address: IpPrefix.parse("10.1.1.1/32"), peer: IpAddress.parse("10.1.1.2") } },
  ],
  [
    "tapstack-0001-3-address-fd00::7-64",
    { lease: 1, serial: 3, change: { address: IpPrefix.parse("fd00::7/64"), peer: null } },
  ],
];

Deno.test("a mark says whose it is, which it is, and what was before", () => {
  for (const [text, mark] of marks) {
    assertEquals(formatMark(mark), text);
    assertEquals(parseMark(text), mark);
  }
});

Deno.test("the longest mark fits an interface's other name", () => {
  const ones = "fd00:1111:2222:3333:4444:5555:6666:7777";
  const change = { address: IpPrefix.parse(`${ones}/128`), peer: IpAddress.parse(ones) };
  assertEquals(formatMark({ lease: 36 ** 4 - 1, serial: 999_999_999, change }).length <= 127, true);
});

Deno.test("any other name is no mark", () => {
  const others = [
    "enp3s0",
    "tapstack",
    "tapstack-0001",
    "tapstack-0001-2",
    "tapstack-0001-2-address",
    "tapstack-0001-2-address-10.1.1-24",
    "tapstack-0001-2-address-10.1.1.1-33",
    "tapstack-0001-x-mtu-1-2",
    "tapstack-01-1-mtu-1-2",
    "tapstack-0001-1-mtu-1",
    "tapstack-0001-1-mtu-1-2-",
    "tapstack-0001-1-mtu-a-2",
    "tapstack-0001-1-speed-1-2",
    "tapstacks-0001-1-mtu-1-2",
  ];
  assertEquals(others.filter((name) => parseMark(name) !== null), []);
});
