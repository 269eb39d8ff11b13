import { assertEquals } from "@std/assert";
import { BulkReceiveThread } from "../../ffi/bulk_receive_thread.ts";

const fullFrame = 1514;

/** A thread that is switched, and what sends frames. */
class Fixture {
  now = 0;
  running = false;
  /** The frames before which the thread was switched. */
  readonly switchedAt: number[] = [];
  frames = 0;
  readonly thread: BulkReceiveThread;

  constructor(switching: () => void = () => {}) {
    const note = (on: boolean) => {
      this.switchedAt.push(this.frames);
      switching();
      this.running = on;
    };
    const isRunning = () => this.running;
    const target = {
      get running() {
        return isRunning();
      },
      set running(on: boolean) {
        note(on);
      },
    };
    this.thread = new BulkReceiveThread(target, () => this.now);
  }

  send(frames: number, bytes: number, gap: number): void {
    for (let frame = 0; frame < frames; frame++, this.frames++) {
      this.now += gap;
      this.thread.sending(bytes);
    }
  }
}

Deno.test("the thread is switched on as soon as it is bulk", () => {
  const fixture = new Fixture();
  fixture.send(3000, fullFrame, 0.005);
  assertEquals(fixture.switchedAt, [2047]);
  assertEquals(fixture.running, true);
});

Deno.test("it is switched off after bulk, where a frame does not follow upon another", () => {
  const fixture = new Fixture();
  fixture.send(2048, fullFrame, 0.005);
  fixture.send(4000, 0, 0.005);
  assertEquals(fixture.running, true);
  fixture.send(1, 0, 1);
  assertEquals(fixture.running, false);
});

Deno.test("the first frame after the end of bulk does not tell how long there was none", () => {
  const fixture = new Fixture();
  fixture.send(2048, fullFrame, 0.005);
  fixture.send(2047, 0, 0.005);
  fixture.send(1, 0, 100);
  assertEquals(fixture.running, true);
  fixture.send(1, 0, 0.06);
  assertEquals(fixture.running, false);
});

Deno.test("bulk that begins anew before it was switched off finds it running", () => {
  const fixture = new Fixture();
  fixture.send(2048, fullFrame, 0.005);
  fixture.send(3000, 0, 0.005);
  fixture.send(4096, fullFrame, 0.005);
  fixture.send(1, 0, 1);
  assertEquals(fixture.switchedAt, [2047]);
});

Deno.test("what is refused once is not tried again", () => {
  const fixture = new Fixture(() => {
    throw new Error("EPERM");
  });
  fixture.send(20_000, fullFrame, 0.005);
  assertEquals(fixture.switchedAt, [2047]);
  assertEquals(fixture.running, false);
});
