/**
 * One neighbour on a link: its state, its hardware address once that is known, and what waits for it.
 *
 * @module
 */

import type { IpAddress, MacAddress } from "../address.ts";
import type { LinkSession, Nic } from "../link/nic.ts";
import { PacketQueue } from "../packet.ts";

/** The states of RFC 4861 section 7.3.2, which serve ARP as well, and two more. */
export const NeighborState = {
  /** Asked for, not yet answered. */
  incomplete: 0,
  /** Known to have been reachable lately. */
  reachable: 1,
  /** Known, but nobody has heard from it lately. */
  stale: 2,
  /** Sent to while stale: a transport may confirm it before it is probed. */
  delay: 3,
  /** Being asked at its last known address. */
  probe: 4,
  /** It did not answer. */
  failed: 5,
  /** Set by the user; neither asked nor aged. */
  permanent: 6,
} as const;

/** One of the values of {@linkcode NeighborState}. */
export type NeighborState = (typeof NeighborState)[keyof typeof NeighborState];

/** The names of the states, by their values, as RFC 4861 and people write them. */
export const neighborStateNames: readonly string[] = [
  "INCOMPLETE",
  "REACHABLE",
  "STALE",
  "DELAY",
  "PROBE",
  "FAILED",
  "PERMANENT",
];

/** Who is told what transports learn about a neighbour. */
export interface NeighborKeeper {
  /** See {@linkcode LinkSession.confirm}. */
  confirm(neighbor: Neighbor): void;
  /** See {@linkcode LinkSession.doubt}. */
  doubt(neighbor: Neighbor): void;
}

/** A neighbour, as the cache keeps it. Everything that can change belongs to the cache. */
export class Neighbor implements LinkSession {
  /** The interface behind which it is. */
  readonly nic: Nic;
  /** What frames to it carry. */
  readonly etherType: number;
  /** Its IP address. */
  readonly address: IpAddress;
  /** Its hardware address, or null while it is unknown. */
  destination: MacAddress | null = null;
  /** Where it stands. */
  state: NeighborState = NeighborState.incomplete;
  /** Until when `reachable` or `failed` holds, in milliseconds of the clock. */
  validUntil: number = 0;
  /** When the next step is due in the states that take steps; Infinity in the others. */
  deadline: number = Infinity;
  /** Solicitations sent in the present state. */
  solicitations: number = 0;
  /** When something was last sent to it, in milliseconds of the clock, as far as the cache has looked. */
  usedAt: number = 0;
  /** Whether it is in the cache; a path may hold on to one that was replaced. */
  cached: boolean = false;
  /** The packets that wait for its hardware address. */
  readonly pending: PacketQueue = new PacketQueue();
  /** The next one in the same bucket of the cache. */
  nextInBucket: Neighbor | null = null;
  readonly #keeper: NeighborKeeper;

  /** Made by the cache. */
  constructor(keeper: NeighborKeeper, nic: Nic, etherType: number, address: IpAddress) {
    this.#keeper = keeper;
    this.nic = nic;
    this.etherType = etherType;
    this.address = address;
  }

  /** To be called when a transport knows that packets sent to the neighbour arrive. */
  confirm(): void {
    this.#keeper.confirm(this);
  }

  /** To be called when a transport suspects that packets sent to the neighbour do not arrive. */
  doubt(): void {
    this.#keeper.doubt(this);
  }
}
