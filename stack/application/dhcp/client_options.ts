/**
 * What a DHCP client is told, and what it tells.
 *
 * @module
 */

import type { Logger } from "../../logger.ts";
import type { Random } from "../../random.ts";
import type { DhcpLease } from "./lease.ts";

/**
 * Where a client stands (RFC 2131 section 4.4, figure 5): `rebooting` is what follows INIT-REBOOT, `probing` is the
 * search for another host with the address (RFC 5227) before it is used, and `stopped` is the end.
 */
export type DhcpState =
  | "init"
  | "selecting"
  | "requesting"
  | "rebooting"
  | "probing"
  | "bound"
  | "renewing"
  | "rebinding"
  | "releasing"
  | "stopped";

/** Options of `DhcpClient`. */
export interface DhcpClientOptions {
  /** An address that was leased before: the client asks to go on using it, and takes another one if it may not. */
  previousAddress?: string;
  /** The name that the client tells the server. Default: none. */
  hostName?: string;
  /** Who the client is, for the server. Default: the hardware address, as RFC 2132 section 9.14 says. */
  clientIdentifier?: Uint8Array;
  /** Options to ask for beside those that are used, by code. */
  parameterRequests?: readonly number[];
  /** Search for another host with the address before it is used, which takes four to seven seconds. Default true. */
  probe?: boolean;
  /** Milliseconds in which more offers may come after the first one. Default 0: the first one is taken. */
  offerWait?: number;
  /** Chooses among offers, in the order in which they came. Default: that of the previous address, else the first. */
  chooseOffer?: (offers: readonly DhcpLease[]) => DhcpLease;
  /** Called after every change of the state; must not throw. */
  onChange?: (state: DhcpState, lease: DhcpLease | null) => void;
  /** Who is told what goes wrong. Default: nobody. */
  logger?: Logger;
  /** Where transaction numbers and jitter come from. Default: the platform's cryptographic generator. */
  random?: Random;
}

/** What a `DhcpClient` counts. */
export interface DhcpClientCounters {
  /** Messages sent, those that were sent again included. */
  sent: number;
  /** Messages that were answers to ours. */
  received: number;
  /** Messages for others, or that did not fit the state. */
  ignored: number;
  /** Datagrams that were no messages, and leases that made no sense. */
  malformed: number;
  /** Addresses that the server took back, or refused. */
  refused: number;
  /** Addresses that somebody else had. */
  declined: number;
  /** Leases that nobody renewed in time. */
  expired: number;
}
