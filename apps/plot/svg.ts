/**
 * Building SVG as text.
 *
 * @module
 */

/** A number as it stands in an attribute: to a tenth of a unit, which no screen can tell from the exact one. */
export function coordinate(value: number): string {
  return String(Math.round(value * 10) / 10);
}

/** Text as it stands in a document. */
export function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

/** The attributes of an element; numbers are rounded as {@linkcode coordinate} does, and those undefined left out. */
export type Attributes = Readonly<Record<string, string | number | undefined>>;

/** An element around `content`, which is markup already. */
export function element(name: string, attributes: Attributes, content: string | readonly string[] = ""): string {
  let start = name;
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined) continue;
    start += ` ${key}="${typeof value === "number" ? coordinate(value) : escapeText(value)}"`;
  }
  const inner = typeof content === "string" ? content : content.join("\n");
  return inner === "" ? `<${start}/>` : `<${start}>${inner}</${name}>`;
}

/** An element that is text. */
export function textElement(attributes: Attributes, text: string): string {
  return element("text", attributes, escapeText(text));
}
