/**
 * The stack under test on its virtual clock, and the link to the script.
 *
 * @module
 */

import { type Family, IpAddress, IpPrefix } from "../../../stack/address.ts";
import { capture } from "../../../stack/link/capture.ts";
import { SeededRandom } from "../../../stack/random.ts";
import { Stack } from "../../../stack/stack.ts";
import type { TcpOptionsOffered } from "../../../stack/transport/tcp/configuration.ts";
import type { Connection } from "../../../stack/transport/tcp/connection.ts";
import { VirtualTime } from "../../helpers/virtual_time.ts";
import { ScriptSkipped } from "./failure.ts";
import { WrittenStream } from "./pattern.ts";
import type { Profile } from "./profile.ts";
import { ScriptDevice } from "./script_device.ts";

/** What a host is made of. */
export interface HostOptions {
  /** The address family of everything. */
  readonly family: Family;
  /** The stack's address; null for the usual one. */
  readonly localAddress: string | null;
  /** The peer's address; null for the usual one. */
  readonly remoteAddress: string | null;
  /** The link's MTU in bytes. */
  readonly mtu: number;
  /** What the stack starts with. */
  readonly profile: Profile;
  /** Takes the bytes of a capture, if there is to be one. */
  readonly capture: ((bytes: Uint8Array<ArrayBuffer>) => void) | null;
}

const usualAddresses = {
  4: { local: "192.168.0.1", remote: "192.0.2.1", length: 16 },
  6: { local: "fd3d:fa7b:d17d::1", remote: "2001:db8::1", length: 48 },
} as const;

/** The addresses of both ends: those that a script gives, or the usual ones. */
export function addressesOf(family: Family, local: string | null, remote: string | null): [IpAddress, IpAddress] {
  const usual = usualAddresses[family];
  return [IpAddress.parse(local ?? usual.local), IpAddress.parse(remote ?? usual.remote)];
}

/** A stack with one link, which ends at the script. */
export class Host {
  /** The clock and what runs on it. */
  readonly time: VirtualTime = new VirtualTime();
  /** The moment at which the script began. */
  readonly start: number = this.time.now;
  /** The link to the script. */
  readonly device: ScriptDevice;
  /** The stack under test. */
  readonly stack: Stack;
  /** The stack's address on that link. */
  readonly local: IpAddress;
  /** The peer that the script plays. */
  readonly remote: IpAddress;
  /** What the stack starts with. */
  readonly profile: Profile;
  readonly #connections = new Map<string, Connection>();
  readonly #streams = new Map<Connection, WrittenStream>();

  /**
   * Wires it.
   *
   * @throws {ScriptSkipped} If the stack does not speak the address family.
   */
  constructor(options: HostOptions) {
    const { family, mtu, profile } = options;
    this.profile = profile;
    [this.local, this.remote] = addressesOf(family, options.localAddress, options.remoteAddress);
    this.device = new ScriptDevice(mtu);
    this.stack = this.time.add(
      new Stack({
        timers: this.time.timers,
        random: new SeededRandom(1),
        eventLoop: false,
        tcp: {
          ...tcpOptionsOf(profile),
          ...(profile.fastOpenKeys === null ? {} : { fastOpenKeys: profile.fastOpenKeys }),
          congestionControl: () => profile.makeCongestionControl(),
          timeWait: profile.timeWait,
          unlimitedChallenges: profile.unlimitedChallenges,
          synCookies: profile.synCookies,
        },
      }),
    );
    profile.onChange = () => {
      Object.assign(this.stack.tcp.options, tcpOptionsOf(profile));
      if (profile.fastOpenKeys !== null) this.stack.tcp.fastOpen.cookies.useKeys(profile.fastOpenKeys);
    };
    if (family === 6 && !Object.keys(this.stack.counters.snapshot()).some((name) => name.startsWith("ipv6."))) {
      throw new ScriptSkipped("the stack has no IPv6");
    }
    const link = options.capture === null ? this.device : capture(this.device, options.capture);
    const nic = this.stack.attach(link, { addresses: [`${this.local}/${usualAddresses[family].length}`] });
    // A link without hardware addresses needs no gateway.
    this.stack.routes.add({ prefix: new IpPrefix(IpAddress.unspecified(family), 0), nic });
    this.stack.trace = {
      state: (connection) => {
        const key = keyOf(connection.local.port, connection.remote.port);
        this.#connections.set(key, connection as Connection);
      },
    };
  }

  /** The present moment, in milliseconds since the script began. */
  get now(): number {
    return this.time.now - this.start;
  }

  /** The latest connection between two ports, open or not. */
  connection(localPort: number, remotePort: number): Connection | null {
    return this.#connections.get(keyOf(localPort, remotePort)) ?? null;
  }

  /** What was written to a connection. */
  written(connection: Connection): WrittenStream {
    let stream = this.#streams.get(connection);
    if (stream === undefined) this.#streams.set(connection, stream = new WrittenStream());
    return stream;
  }

  /**
   * Lets time pass until `moment`, in milliseconds since the script began, or until `done` holds, and returns whether
   * it does.
   */
  advance(moment: number, done: () => boolean = () => false): boolean {
    const { time } = this;
    const end = this.start + moment;
    for (;;) {
      time.settle();
      if (done()) return true;
      if (time.now >= end) return false;
      time.clock.set(Math.max(time.now, Math.min(time.nextDeadline(), end)));
    }
  }

  /** Closes the stack. */
  async close(): Promise<void> {
    this.profile.onChange = null;
    await this.stack.close();
  }
}

/** The settings of TCP that may change while a script runs. */
function tcpOptionsOf(profile: Profile): TcpOptionsOffered {
  return {
    timestamps: profile.timestamps,
    selectiveAcknowledgements: profile.selectiveAcknowledgements,
    windowScaling: profile.windowScaling,
    ecn: profile.ecn,
    alternativeBackoff: profile.alternativeBackoff,
    trustResets: profile.trustResets,
    trustSyns: profile.trustSyns,
    dropSynFin: profile.dropSynFin,
    heedNetworkErrors: profile.heedNetworkErrors,
  };
}

function keyOf(localPort: number, remotePort: number): string {
  return `${localPort}:${remotePort}`;
}
