import { Pair } from "./harness.ts";
import { stateName } from "../../../stack/transport/tcp/state.ts";
const arg = JSON.parse(Deno.args[0]!);
const pair = new Pair(arg.wire, arg.settings ?? {});
const t0 = pair.time.now;
for (const [n, tcp] of [["C", pair.client], ["S", pair.server]] as const) {
  tcp.trace = {
    segment(c, d, p) {
      if (d !== "sent" && !arg.both) return;
      const v = p.view, at = p.transportAt;
      const base = n === "C" ? [arg.wire.client ?? 1000000, arg.wire.server ?? 5000000] : [arg.wire.server ?? 5000000, arg.wire.client ?? 1000000];
      if (d !== "sent") base.reverse();
      const h = (v.getUint8(at + 12) >> 4) * 4;
      const i = c.info();
      console.log((pair.time.now - t0).toFixed(1), n, d, "fl", v.getUint8(at + 13).toString(16), "seq", (v.getUint32(at + 4) - base[0]!) >>> 0, "+", p.tail - at - h, "ack", (v.getUint32(at + 8) - base[1]!) >>> 0, "win", v.getUint16(at + 14), h > 32 ? "opts" + (h - 20) : "", i.congestionState, "cwnd", i.congestionWindow, "ssth", i.slowStartThreshold, "fl", i.bytesInFlight, "rto", i.rto, "b", i.backoff);
    },
    state(_c, f, t) { console.log((pair.time.now - t0).toFixed(1), n, stateName(f), "->", stateName(t)); },
  };
}
try { console.log("took", pair.transfer(arg.up ?? 200000, arg.down ?? 60000)); } catch (e) { console.log(String(e)); }
