/**
 * What the frames of a captured interface start with.
 *
 * @module
 */

import type { CapturedInterface } from "../../stack/link/pcap_reader.ts";
import { LinkType } from "../../stack/link/pcapng.ts";

/**
 * What frames of an interface start with.
 *
 * @throws {TypeError} If it is something else than Ethernet or IP.
 */
export function mediumOf({ linkType, name }: CapturedInterface): "ethernet" | "ip" {
  if (linkType === LinkType.ethernet) return "ethernet";
  if (linkType === LinkType.raw) return "ip";
  const what = name === "" ? "an interface" : `the interface "${name}"`;
  throw new TypeError(
    `Cannot decode the frames of ${what}: link type ${linkType}, only Ethernet and IP are understood`,
  );
}
