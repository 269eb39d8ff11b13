/**
 * Texts from anybody, fit for a terminal.
 *
 * @module
 */

/** Control and format characters: escape sequences, bells, ends of lines, marks that turn the direction of writing. */
const unwanted = /[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}]/gu;

/** A line without what could steer a terminal, or begin another line. */
export function printable(text: string): string {
  return text.replaceAll("\t", " ").replaceAll(unwanted, "").trim();
}
