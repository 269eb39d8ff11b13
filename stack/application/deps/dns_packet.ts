/**
 * DNS messages, from dns-packet.
 *
 * @module
 */

// @ts-types="npm:@types/dns-packet@5.6.5"
export * as dnsPacket from "npm:dns-packet@5.6.1";
