/**
 * Which answers a client takes (RFC 2131 section 4.4, figure 5).
 *
 * @module
 */

import type { IpAddress, MacAddress } from "../../address.ts";
import { MessageType, Operation, OptionCode } from "../../dhcp_format.ts";
import type { DhcpState } from "./client_options.ts";
import type { DhcpLease } from "./lease.ts";
import type { DhcpMessage } from "./message.ts";
import { addressOf } from "./options.ts";

/** Whether a message answers what a client has sent. */
export function isReplyTo(message: DhcpMessage, transaction: number, hardware: MacAddress): boolean {
  return message.operation === Operation.reply && message.transaction === transaction &&
    message.clientHardware.equals(hardware);
}

/** Whether a client in a state, which in `requesting` is after an offer, waits for such an answer. */
export function expects(state: DhcpState, { type, options }: DhcpMessage, offer: DhcpLease | null): boolean {
  switch (state) {
    case "selecting":
      return type === MessageType.offer;
    case "requesting": {
      // Other servers have been told that their offers were not taken: what they say is old.
      const server = addressOf(options, OptionCode.serverIdentifier);
      const isChosen = server === null || server.equals(offer!.server);
      return isChosen && (type === MessageType.ack || type === MessageType.nak);
    }
    case "rebooting":
    case "renewing":
    case "rebinding":
      return type === MessageType.ack || type === MessageType.nak;
    default:
      return false;
  }
}

/** The offer of the address that the client would like, else the first one. There is at least one. */
export function bestOf(offers: readonly DhcpLease[], wanted: IpAddress | null): DhcpLease {
  return offers.find(({ address }) => wanted !== null && address.address.equals(wanted)) ?? offers[0]!;
}
