/**
 * A TAP device with several queues, for a stack in each of several workers.
 *
 * @module
 */

import { MacAddress } from "../stack/address.ts";
import { type FramePort, SharedQueue } from "../stack/link/shared_queue.ts";
import { HostInterface } from "./host_interface.ts";
import { Libc } from "./libc.ts";
import { IFF_MULTI_QUEUE, openTapWith, type TapOptions } from "./tuntap.ts";
import { TunTapDevice } from "./tuntap_device.ts";

/** Options of {@linkcode openTapQueues}. */
export interface TapQueuesOptions extends TapOptions {
  /** How many queues: one for each worker, from 1 to 256. */
  queues: number;
}

/** One queue, ready to be posted to a worker and adopted there by {@linkcode adoptTapQueue}. */
export interface TapQueue {
  /** The interface's name. */
  readonly name: string;
  /** The open descriptor, which all threads of the process share. */
  readonly descriptor: number;
  /** Which of the queues this is: 0 and up. */
  readonly index: number;
  /** How many there are. */
  readonly count: number;
  /** The Ethernet address of this program's end, the same for all queues. */
  readonly mac: string;
  /** Bytes of the header in front of each frame that is read and written. */
  readonly headerBytes: number;
  /** Ways to the other queues, in the order of their indices: to be transferred together with the queue. */
  readonly ports: MessagePort[];
}

/** The queues of one interface. */
export interface TapQueues {
  /** The kernel's end: its addresses, routes and switches. */
  readonly host: HostInterface;
  /** The queues. The interface goes away when all of them have been adopted and closed. */
  readonly queues: readonly TapQueue[];
}

/** The most queues that the kernel gives an interface. */
const mostQueues = 256;

/**
 * Opens a TAP device with several queues. The kernel spreads the flows over them; each is for one stack, in a worker of
 * its own, with the same addresses and the same listening ports as the others. Ephemeral ports are divided among the
 * stacks. What the kernel gives to the wrong queue is handed on.
 *
 * Every queue has to be adopted, and to live as long as the others: the kernel would give a queue that nobody reads its
 * share of the flows all the same, and deal them out anew when one is closed. Datagrams in fragments go to the first.
 * A port of one's own choice that is above 49151 and not listened on belongs to the stack whose index is left over when
 * it is divided by the number of queues.
 *
 * @example One worker for each processor
 * ```ts ignore
 * import { openTapQueues } from "./tap_queues.ts";
 *
 * const { queues } = openTapQueues({ queues: navigator.hardwareConcurrency, hostAddresses: ["192.0.2.1/24"] });
 * for (const queue of queues) {
 *   const worker = new Worker(import.meta.resolve("./worker.ts"), { type: "module" });
 *   worker.postMessage(queue, queue.ports);
 * }
 * ```
 *
 * @example The worker
 * ```ts ignore
 * import { Stack } from "../stack/stack.ts";
 * import { adoptTapQueue, type TapQueue } from "./tap_queues.ts";
 *
 * self.onmessage = async ({ data }: MessageEvent<TapQueue>) => {
 *   const stack = new Stack();
 *   stack.attach(adoptTapQueue(data), { addresses: ["192.0.2.2/24"] });
 *   for await (const conn of stack.listen({ port: 7 })) conn.readable.pipeTo(conn.writable);
 * };
 * ```
 *
 * @throws {RangeError} If the number of queues is not 1 to 256, or as {@linkcode openTap} does.
 * @throws {SystemError} If the kernel refuses.
 * @throws {Deno.errors.NotCapable} If the program was started without `--allow-ffi`.
 */
export function openTapQueues(options: TapQueuesOptions): TapQueues {
  const { queues: count, up = true, offload = true, receiveThread = false } = options;
  if (!Number.isInteger(count) || count < 1 || count > mostQueues) {
    throw new RangeError(`Cannot open ${count} queues: give a whole number from 1 to ${mostQueues}`);
  }
  const devices: TunTapDevice[] = [];
  try {
    const first = openTapWith(IFF_MULTI_QUEUE, { ...options, up: false });
    devices.push(first);
    const { name, address } = first;
    for (let index = 1; index < count; index++) {
      devices.push(openTapWith(IFF_MULTI_QUEUE, { name, mac: address!, offload, receiveThread, up: false }));
    }
    const host = new HostInterface(name);
    // Only now that all queues are there: the kernel deals out the flows by their number.
    if (up) host.change({ up: true });
    const ports = connectAll(count);
    const queues = devices.map((device, index): TapQueue => ({
      name,
      descriptor: device.surrender(),
      index,
      count,
      mac: address!.toString(),
      headerBytes: device.headerBytes,
      ports: ports[index]!,
    }));
    return { host, queues };
  } catch (error) {
    for (const device of devices) if (!device.closed) device.close();
    throw error;
  }
}

/** A channel between each two queues: `[index]` holds the ports to the others in the order of their indices. */
function connectAll(count: number): MessagePort[][] {
  const ports: MessagePort[][] = Array.from({ length: count }, () => []);
  for (let left = 0; left < count; left++) {
    for (let right = left + 1; right < count; right++) {
      const { port1, port2 } = new MessageChannel();
      ports[left]!.push(port1);
      ports[right]!.push(port2);
    }
  }
  return ports;
}

/**
 * Makes a device of a queue, in the worker that it was posted to, or in the program that opened it. The device owns the
 * descriptor and the ports from now on. Each queue can be adopted once.
 *
 * @throws {Deno.errors.NotCapable} If the program was started without `--allow-ffi`.
 */
export function adoptTapQueue(queue: TapQueue): SharedQueue {
  const { name, descriptor, index, count, headerBytes } = queue;
  const libc = Libc.open();
  const identity = { name, medium: "ethernet", address: MacAddress.parse(queue.mac), headerBytes } as const;
  const device = new TunTapDevice(libc, descriptor, identity);
  device.refresh();
  const ports: (FramePort | null)[] = [...queue.ports];
  ports.splice(index, 0, null);
  return new SharedQueue(device, { index, count }, ports);
}
