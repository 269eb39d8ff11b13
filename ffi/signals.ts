/**
 * What the operating system does about signals.
 *
 * @module
 */

import { Libc } from "./libc.ts";

const SIGHUP = 1;
const SIG_IGN = 1n;

/** More than a struct sigaction has on any machine of 64 bits; the handler is its first field. */
const actionBytes = 256;

/**
 * Whether this program was started by somebody who wants it to outlive its terminal: `nohup` has it ignore SIGHUP. To be
 * asked before a handler is put in place, which undoes that. False where it cannot be found out.
 */
export function isHangUpIgnored(): boolean {
  let libc: Libc;
  try {
    libc = Libc.open();
  } catch {
    // No Linux, or no permission.
    return false;
  }
  using _share = libc;
  const action = new BigUint64Array(actionBytes / 8);
  return libc.calls.sigaction(SIGHUP, null, action) === 0 && action[0] === SIG_IGN;
}
