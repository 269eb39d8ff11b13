/**
 * Options that several programs have.
 *
 * @module
 */

import type { Option } from "./cli.ts";
import { port } from "./values.ts";

/** An option that names a file, or `-` for standard input or output. */
export function fileOption(letter: string, help: string): Option<string | null> {
  return { letter, placeholder: "FILE", help, fallback: null, parse: (text) => text };
}

/** Our port, where we are the client; 0 lets the stack choose. */
export const sourcePort: Option<number> = {
  letter: "p",
  placeholder: "N",
  help: "Our port (default: the stack chooses)",
  fallback: 0,
  parse: port,
};
