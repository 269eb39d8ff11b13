/**
 * The format of DHCP messages (RFC 2131 section 2, RFC 2132): where the fields lie, and what their numbers mean.
 *
 * @module
 */

/** The ports (RFC 2131 section 4.1). */
export const DhcpPort = { server: 67, client: 68 } as const;

/** Who sent a message (`op`): a client, or a server. */
export const Operation = { request: 1, reply: 2 } as const;

/** The values of the option `DHCP message type` (RFC 2132 section 9.6). */
export const MessageType = {
  discover: 1,
  offer: 2,
  request: 3,
  decline: 4,
  ack: 5,
  nak: 6,
  release: 7,
  inform: 8,
} as const;

/** Where the fields of a message lie, in bytes from its start (RFC 2131 section 2). */
export const MessageField = {
  operation: 0,
  hardwareType: 1,
  hardwareLength: 2,
  transaction: 4,
  seconds: 8,
  flags: 10,
  clientAddress: 12,
  yourAddress: 16,
  serverAddress: 20,
  relayAddress: 24,
  clientHardware: 28,
  serverName: 44,
  bootFile: 108,
  cookie: 236,
  options: 240,
} as const;

/** What the options begin with (RFC 2131 section 3). */
export const magicCookie = 0x6382_5363;

/** `htype` of Ethernet, and the length of its addresses. */
export const Ethernet = { type: 1, addressBytes: 6 } as const;

/** The flag by which a client asks for answers that are broadcast. */
export const broadcastFlag = 0x8000;

/** The codes of options (RFC 2132, RFC 3442). */
export const OptionCode = {
  pad: 0,
  subnetMask: 1,
  routers: 3,
  nameServers: 6,
  hostName: 12,
  domainName: 15,
  interfaceMtu: 26,
  broadcastAddress: 28,
  requestedAddress: 50,
  leaseTime: 51,
  overload: 52,
  messageType: 53,
  serverIdentifier: 54,
  parameterRequests: 55,
  message: 56,
  maximumMessageSize: 57,
  renewalTime: 58,
  rebindingTime: 59,
  clientIdentifier: 61,
  classlessRoutes: 121,
  end: 255,
} as const;
