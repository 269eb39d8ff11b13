/**
 * Workers that share a TAP device.
 *
 * @module
 */

import { openTapQueues, type TapQueue } from "../../mod.ts";
import { soon } from "../helpers/patience.ts";
import type { QueueAnswer, QueueCommand } from "./queue_worker.ts";

/** One of the workers. */
export class QueueWorker {
  readonly #worker = new Worker(new URL("queue_worker.ts", import.meta.url), { type: "module" });
  #answered = Promise.withResolvers<QueueAnswer>();

  /** Starts it; it has to be given a queue first. */
  constructor() {
    this.#worker.onmessage = ({ data }) => this.#answered.resolve(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#answered.reject(new Error(event.message));
    };
  }

  /** Gives it its queue, and resolves when it serves. */
  async adopt(queue: TapQueue): Promise<void> {
    await this.#exchange(() => this.#worker.postMessage(queue, queue.ports));
  }

  /** Asks it for something, one thing at a time. */
  async ask(command: QueueCommand): Promise<QueueAnswer> {
    return await this.#exchange(() => this.#worker.postMessage(command));
  }

  /** Ends it. */
  terminate(): void {
    this.#worker.terminate();
  }

  async #exchange(post: () => void): Promise<QueueAnswer> {
    this.#answered = Promise.withResolvers();
    post();
    const answer = await soon(this.#answered.promise, "a worker's answer");
    if (answer.error !== undefined) throw new Error(`A worker has failed: ${answer.error}`);
    return answer;
  }
}

/** Runs `body` with so many workers that serve 192.0.2.2 to the kernel, which is 192.0.2.1. */
export async function withWorkers(
  count: number,
  body: (workers: readonly QueueWorker[]) => Promise<void>,
): Promise<void> {
  const { queues } = openTapQueues({ queues: count, hostAddresses: ["192.0.2.1/24"], txQueueLength: 10_000 });
  const workers = queues.map(() => new QueueWorker());
  try {
    await Promise.all(queues.map((queue, index) => workers[index]!.adopt(queue)));
    await body(workers);
  } finally {
    for (const worker of workers) worker.terminate();
  }
}
