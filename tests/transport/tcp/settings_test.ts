import { assertEquals } from "@std/assert";
import { defaultSettings } from "../../../stack/transport/tcp/settings.ts";
import { tcpTest } from "./harness.ts";

Deno.test("the defaults are those that the documentation of the settings gives", () => {
  assertEquals(defaultSettings, {
    noDelay: false,
    pacing: true,
    keepAlive: false,
    keepAliveIdle: 7_200_000,
    keepAliveInterval: 75_000,
    keepAliveCount: 9,
    userTimeout: 0,
    sendBufferBytes: 4 * 1024 * 1024,
    receiveBufferBytes: 4 * 1024 * 1024,
    initialReceiveWindow: 65535,
    quickAcknowledgements: 16,
    initialTimeout: 1000,
    minimumTimeout: 200,
    maximumSegmentBytes: 0,
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
