import { assertEquals, assertThrows } from "@std/assert";
import { Reno } from "../../../stack/transport/tcp/congestion/reno.ts";
import { checkSettings, defaultSettings } from "../../../stack/transport/tcp/settings.ts";
import type { ConnectionSettings } from "../../../stack/transport/tcp/user.ts";
import { Harness, tcpTest } from "./harness.ts";

Deno.test("the defaults are those that the documentation of the settings gives", () => {
  assertEquals(defaultSettings, {
    noDelay: false,
    cork: false,
    pacing: true,
    pathMtuProbing: true,
    keepAlive: false,
    keepAliveIdle: 7_200_000,
    keepAliveInterval: 75_000,
    keepAliveCount: 9,
    userTimeout: 0,
    linger: null,
    sendBufferBytes: 4 * 1024 * 1024,
    receiveBufferBytes: 4 * 1024 * 1024,
    initialReceiveWindow: 65535,
    quickAcknowledgements: 16,
    initialTimeout: 1000,
    synRetransmissions: 7,
    minimumTimeout: 200,
    maximumSegmentBytes: 0,
    congestionControl: null,
    timeToLive: 64,
    trafficClass: 0,
  });
});

tcpTest("connections whose settings nobody changed share them; changing those of one leaves the others", (t) => {
  const connect = () => t.tcp.connect({ remote: { address: t.peer, port: t.peerPort } });
  const [one, other] = [connect(), connect()];
  assertEquals(one.settings === other.settings, true);
  one.configure({ noDelay: true });
  assertEquals([one.settings.noDelay, other.settings.noDelay], [true, false]);
  t.takeSent();
});

/** The values on both sides of what each setting allows. */
const limits: Record<keyof ConnectionSettings, { good: unknown[]; bad: unknown[]; says: string }> = {
  noDelay: { good: [true, false], bad: [1, null], says: "true or false" },
  cork: { good: [true, false], bad: ["yes"], says: "true or false" },
  pacing: { good: [true, false], bad: [0], says: "true or false" },
  pathMtuProbing: { good: [true, false], bad: [0], says: "true or false" },
  keepAlive: { good: [true, false], bad: [undefined], says: "true or false" },
  keepAliveIdle: { good: [1, 2 ** 31 - 1], bad: [0, 2 ** 31, NaN], says: "milliseconds from 1 to 2147483647" },
  keepAliveInterval: { good: [1, 0.5 + 1], bad: [0, -1], says: "milliseconds from 1 to 2147483647" },
  keepAliveCount: { good: [1, 1000], bad: [0, 1.5, 1001], says: "a whole number from 1 to 1000" },
  userTimeout: { good: [0, 2 ** 31 - 1], bad: [-1, Infinity], says: "milliseconds from 0 to 2147483647" },
  linger: { good: [null, 0, 65535], bad: [-1, 65536, "0"], says: "seconds from 0 to 65535, or null" },
  sendBufferBytes: {
    good: [1, 2 ** 30],
    bad: [0, 2 ** 30 + 1, 1.5],
    says: "a whole number from 1 to 1073741824 bytes",
  },
  receiveBufferBytes: { good: [1, 2 ** 30], bad: [0, 2 ** 30 + 1], says: "a whole number from 1 to 1073741824 bytes" },
  initialReceiveWindow: { good: [1, 2 ** 30], bad: [0, -1], says: "a whole number from 1 to 1073741824 bytes" },
  quickAcknowledgements: { good: [0, 1e6, Infinity], bad: [-1, 1e6 + 1], says: "from 0 to 1000000, or Infinity" },
  synRetransmissions: { good: [0, 127], bad: [-1, 128, 1.5], says: "whole number from 0 to 127" },
  initialTimeout: { good: [1, 120_000], bad: [0, 120_001], says: "milliseconds from 1 to 120000" },
  minimumTimeout: { good: [1, 120_000], bad: [0.5, 120_001], says: "milliseconds from 1 to 120000" },
  maximumSegmentBytes: { good: [0, 48, 65535], bad: [47, 65536], says: "from 48 to 65535 bytes, or 0" },
  congestionControl: {
    good: [null, "cubic", "reno", () => new Reno()],
    bad: ["vegas", 1],
    says: '"cubic", "reno", or a',
  },
  timeToLive: { good: [1, 255], bad: [0, 256], says: "a whole number from 1 to 255" },
  trafficClass: { good: [0, 255], bad: [-1, 256], says: "a whole number from 0 to 255" },
};

for (const [name, { good, bad, says }] of Object.entries(limits)) {
  Deno.test(`the setting ${name} is checked, and the error says what is allowed`, () => {
    for (const value of good) checkSettings({ [name]: value });
    for (const value of bad) {
      const error = assertThrows(() => checkSettings({ [name]: value }), RangeError, says);
      assertEquals(error.message.includes("\n"), false);
    }
  });
}

Deno.test("a setting that does not exist is refused", () => {
  assertThrows(() => checkSettings({ nodelay: true } as never), TypeError, 'Cannot use the setting "nodelay"');
  assertThrows(() => checkSettings({ toString: 1 } as never), TypeError, "there is none of that name");
});

tcpTest("settings that are not allowed are refused wherever they are given, and leave nothing reserved", (t) => {
  const settings = { timeToLive: 0 };
  const remote = { address: t.peer, port: t.peerPort };
  assertThrows(() => t.tcp.connect({ remote, settings }), RangeError);
  assertThrows(() => t.tcp.listen({ local: { address: t.network.own, port: 80 }, settings }), RangeError);
  assertEquals(t.ports.size, 0);
  t.accept();
  assertThrows(() => t.connection.configure(settings), RangeError);
  assertEquals(t.connection.settings.timeToLive, 64);
});

Deno.test("settings of a whole TCP are checked when it is made", () => {
  assertThrows(() => new Harness({ settings: { trafficClass: 256 } }), RangeError, "trafficClass");
  assertThrows(() => new Harness({ congestionControl: "vegas" as never }), RangeError, "congestionControl");
  assertThrows(() => new Harness({ timeWait: -1 }), RangeError, "milliseconds from 0 to 2147483647");
  assertThrows(() => new Harness({ ecn: "on" as never }), RangeError, '"request", "accept" or "off"');
  assertThrows(() => new Harness({ timestamps: 1 as never }), RangeError, "true or false");
  assertThrows(() => new Harness({ alternativeBackoff: 1 as never }), RangeError, "true or false");
});

tcpTest("an algorithm can be chosen for the stack and for one connection, and changed", (t) => {
  t.accept();
  assertEquals(t.connection.info().congestionControl, "reno");
  const window = t.connection.info().congestionWindow;
  t.connection.configure({ congestionControl: "cubic" });
  assertEquals([t.connection.info().congestionControl, t.connection.info().congestionWindow], ["cubic", window]);
  t.connection.configure({ noDelay: true });
  assertEquals(t.connection.info().congestionControl, "cubic");
  t.connection.configure({ congestionControl: null });
  assertEquals(t.connection.info().congestionControl, "reno");
}, { congestionControl: "reno" });

tcpTest("an algorithm of one's own is asked", (t) => {
  let asked = 0;
  class Cautious extends Reno {
    override acknowledged(): void {
      asked++;
    }
  }
  t.accept(undefined, { congestionControl: () => new Cautious() });
  const { congestionWindow } = t.connection.info();
  t.write(14_480);
  t.wait(10).receives(". 1:1(0) ack 14481 win 65535 <nop,nop,TS val 102 ecr 1100>").takeSent();
  assertEquals([asked, t.connection.info().congestionWindow], [1, congestionWindow]);
});
