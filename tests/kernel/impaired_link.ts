/**
 * Two ends of one bad link: the kernel at one, and at the other the kernel in a second namespace, or a stack.
 *
 * @module
 */

import { cString, Libc } from "../../ffi/libc.ts";
import { openTap } from "../../ffi/tuntap.ts";
import { Bridge } from "../../stack/bridge.ts";
import { impair } from "../../stack/link/impaired_device.ts";
import type { ImpairmentOptions } from "../../stack/link/impairment.ts";
import { Stack } from "../../stack/stack.ts";
import { assertClosed } from "./host.ts";
import { withNamespace } from "./namespace.ts";

/** The kernel at the near end. */
export const nearAddress = "192.0.2.1";
/** The stack, or the second kernel, at the far end. */
export const farAddress = "192.0.2.2";

/** A connection over the link, as its two ends see it. */
export interface LinkEnds {
  /** The kernel's, in the present namespace. */
  readonly near: Deno.TcpConn;
  /** The stack's or the other kernel's. */
  readonly far: Deno.TcpConn;
}

/** What the link is like, both ways, and where its chance comes from. */
export interface LinkOptions {
  /** What happens to frames in each direction. */
  readonly impairment: ImpairmentOptions;
  /** The seed. */
  readonly seed: number;
}

const IPPROTO_TCP = 6;
const TCP_CONGESTION = 13;

/** Has all TCP sockets of this process that the kernel serves use a congestion control algorithm. */
export function useKernelCongestionControl(name: string): void {
  using libc = Libc.open();
  const value = cString(name);
  // Deno does not tell the descriptors of its sockets. What is no TCP socket refuses the option.
  for (const { name: descriptor } of Deno.readDirSync("/proc/self/fd")) {
    libc.calls.setsockopt(Number(descriptor), IPPROTO_TCP, TCP_CONGESTION, value, value.length - 1);
  }
}

/** Runs `body` with a connection between two kernels, whose frames are carried and impaired by this program. */
export function betweenKernels<Result>(
  options: LinkOptions,
  body: (ends: LinkEnds) => Promise<Result>,
): Promise<Result> {
  return withNamespace(async () => {
    await using bridge = new Bridge();
    bridge.add(impair(openTap({ name: "near0", hostAddresses: [`${nearAddress}/24`], offload: false }), {
      impairments: options.impairment,
      seed: options.seed,
    }));
    using listener = Deno.listen({ hostname: nearAddress, port: 9 });
    const [near, far] = await withNamespace(async () => {
      bridge.add(openTap({ name: "far0", hostAddresses: [`${farAddress}/24`], offload: false }));
      return await Promise.all([listener.accept(), Deno.connect({ hostname: nearAddress, port: 9 })]);
    });
    using _near = near;
    using _far = far;
    return await body({ near, far });
  });
}

/** Runs `body` with a connection between the kernel and a stack, over the same link. */
export function betweenKernelAndStack<Result>(
  options: LinkOptions,
  body: (ends: LinkEnds) => Promise<Result>,
): Promise<Result> {
  return withNamespace(async () => {
    await using bridge = new Bridge();
    bridge.add(impair(openTap({ name: "near0", hostAddresses: [`${nearAddress}/24`], offload: false }), {
      impairments: options.impairment,
      seed: options.seed,
    }));
    const stack = new Stack();
    stack.attach(bridge.connect(), { addresses: [`${farAddress}/24`] });
    using listener = Deno.listen({ hostname: nearAddress, port: 9 });
    const [near, far] = await Promise.all([
      listener.accept(),
      stack.connect({ hostname: nearAddress, port: 9 }),
    ]);
    try {
      using _near = near;
      return await body({ near, far: far as unknown as Deno.TcpConn });
    } finally {
      far[Symbol.dispose]();
      await stack.close();
      // Its frames may still be on their way.
      await bridge.close();
      assertClosed(stack);
    }
  });
}
