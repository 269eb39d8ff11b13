/**
 * One end of a flow.
 *
 * @module
 */

import type { IpAddress } from "../address.ts";

/** An address and a port. */
export interface Endpoint {
  /** The IP address. */
  readonly address: IpAddress;
  /** The port, 0 to 65535. */
  readonly port: number;
}

/** `192.0.2.1:7`, or `[2001:db8::1]:7`. */
export function formatEndpoint(endpoint: Endpoint): string {
  return endpoint.address.family === 4
    ? `${endpoint.address}:${endpoint.port}`
    : `[${endpoint.address}]:${endpoint.port}`;
}
