import { Pair } from "./harness.ts";
for (const [name, imp] of Object.entries({ loss1:{loss:.01}, loss10: { loss: 0.1 }, loss30:{loss:.3}, reorder: { jitter: 40 }, dup: {duplication:.3}, all: { loss: 0.08, duplication: 0.1, jitter: 30 } })) {
  for (const [o, configuration] of Object.entries({ all: {}, none: { timestamps: false, selectiveAcknowledgements: false, windowScaling: false }, sack: { timestamps: false } })) {
   for (const [sn, settings] of Object.entries({big: {}, small: {sendBufferBytes: 5000, receiveBufferBytes: 3000}, nd: {noDelay: true, receiveBufferBytes: 20000}})) {
    const times: number[] = [];
    let worst = 0;
    for (let seed = 1; seed <= 12; seed++) {
      try {
        const pair = new Pair({ ...imp, seed, configuration, client: 0xffffffff - 60000, server: 0x7fffffff-40000 }, settings);
        times.push(Math.round(pair.transfer(200_000, 60_000)));
        pair.end();
      } catch (e) { console.log(name, o, sn, seed, String(e).slice(0, 150)); }
    }
    times.sort((a, b) => a - b);
    console.log(name, o, sn, "min", times[0], "median", times[times.length >> 1], "max", times.at(-1));
   }
  }
}
