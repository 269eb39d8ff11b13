/**
 * What a dissected frame consists of.
 *
 * @module
 */

/** One field of a header. */
export interface Field {
  /** The field's name as in its RFC. */
  readonly name: string;
  /** What it says. */
  readonly value: string | number | boolean;
}

/** One header with its fields, or what no header describes. */
export interface Layer {
  /** The protocol's name: `Ethernet`, `IPv4`, `TCP`, `DNS`, ... */
  readonly name: string;
  /** Its fields in their order on the wire. */
  readonly fields: readonly Field[];
}

/** A number as four hexadecimal digits. */
export function hex16(value: number): string {
  return `0x${value.toString(16).padStart(4, "0")}`;
}

/** A checksum field and whether it is what it should be. */
export function checksumField(value: number, isRight: boolean): Field {
  return { name: "checksum", value: `${hex16(value)} (${isRight ? "correct" : "incorrect"})` };
}
