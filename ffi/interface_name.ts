/**
 * Names of network interfaces.
 *
 * @module
 */

/** Bytes that the kernel keeps for an interface name, the zero byte included (`IFNAMSIZ`). */
export const interfaceNameBytes = 16;

/**
 * The name as the 16 zero-padded bytes that the kernel's structures hold.
 *
 * @throws {TypeError} If the kernel would not take the name.
 */
export function encodeInterfaceName(name: string): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length >= interfaceNameBytes) {
    throw new TypeError(
      `Cannot use "${name}" as an interface name: it has ${bytes.length} bytes, choose one of at most 15`,
    );
  }
  if (name === "" || name === "." || name === ".." || /[/:\s\0]/.test(name)) {
    throw new TypeError(
      `Cannot use "${name}" as an interface name: choose 1 to 15 bytes without slash, colon and white space`,
    );
  }
  const padded = new Uint8Array(interfaceNameBytes);
  padded.set(bytes);
  return padded;
}

/**
 * The label of an address as bytes with a zero byte behind. Labels are as long as names, and may hold a colon.
 *
 * @throws {TypeError} If the kernel would not take the label.
 */
export function encodeInterfaceLabel(label: string): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(`${label}\0`);
  if (bytes.length <= interfaceNameBytes) return bytes;
  throw new TypeError(`Cannot use "${label}" as an address's label: choose one of at most 15 bytes`);
}

/** Bytes that the kernel keeps for another name of an interface, the zero byte included (`ALTIFNAMSIZ`). */
const alternativeNameBytes = 128;

/**
 * Another name of an interface as bytes with a zero byte behind.
 *
 * @throws {TypeError} If the kernel would not take it.
 */
export function encodeAlternativeName(name: string): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(`${name}\0`);
  if (bytes.length > 1 && bytes.length <= alternativeNameBytes && !/[/\s]/.test(name)) return bytes;
  throw new TypeError(
    `Cannot use "${name}" as an interface's other name: choose 1 to 127 bytes without slash and white space`,
  );
}

/** The name in a zero-padded field of 16 bytes that starts at `at`. */
export function decodeInterfaceName(bytes: Uint8Array, at = 0): string {
  const field = bytes.subarray(at, at + interfaceNameBytes);
  const end = field.indexOf(0);
  return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end));
}
