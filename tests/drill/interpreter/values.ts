/**
 * The values of expressions.
 *
 * @module
 */

import { IpAddress } from "../../../stack/address.ts";
import type { Expression } from "./ast.ts";
import { constants } from "./constants.ts";
import { ScriptSkipped } from "./failure.ts";

/** Looks a name up among the script's definitions. */
export type Define = (name: string) => string | undefined;

/** The number that an expression stands for; `fallback` for `...`. */
export function numberOf(expression: Expression | undefined, define: Define, fallback?: number): number {
  switch (expression?.kind) {
    case undefined:
    case "ellipsis":
      if (fallback !== undefined) return fallback;
      throw new ScriptSkipped("`...` stands for nothing known here");
    case "number":
      return expression.value;
    case "name":
      return namedNumber(expression.name, define);
    case "unary": {
      const value = numberOf(expression.operand, define);
      return expression.operator === "-" ? -value : expression.operator === "~" ? ~value : Number(value === 0);
    }
    case "binary":
      return combine(expression.operator, numberOf(expression.left, define), numberOf(expression.right, define));
    case "list":
      return numberOf(expression.items[0], define, fallback);
    case "function":
      if (/^(?:htons|htonl|ntohs|ntohl)$/.test(expression.name)) return numberOf(expression.arguments[0], define);
      throw new ScriptSkipped(`\`${expression.name}\` is not interpreted`);
    case "string":
    case "struct":
      throw new ScriptSkipped("a number is expected where the script has something else");
  }
}

function namedNumber(name: string, define: Define): number {
  const defined = define(name);
  const constant = constants[name] ?? constants[name.replace(/^TCP[IS]_(?!OPT)/, "TCP_")];
  const value = defined === undefined ? constant : Number(defined);
  if (value === undefined || Number.isNaN(value)) throw new ScriptSkipped(`the constant ${name} is not known`);
  return value;
}

function combine(operator: string, left: number, right: number): number {
  switch (operator) {
    case "|":
      return (left | right) >>> 0;
    case "^":
      return (left ^ right) >>> 0;
    case "&":
      return (left & right) >>> 0;
    case "<<":
      return left << right;
    case ">>":
      return left >> right;
    case "+":
      return left + right;
    case "-":
      return left - right;
    case "*":
      return left * right;
    case "/":
      return Math.trunc(left / right);
    default:
      return left % right;
  }
}

/** The names that an expression is made of: `O_RDWR|O_NONBLOCK`. */
export function namesIn(expression: Expression | undefined): string[] {
  if (expression?.kind === "name") return [expression.name];
  if (expression?.kind === "binary") return [...namesIn(expression.left), ...namesIn(expression.right)];
  return [];
}

/** A field of a structure by any of its names; `position` is where it stands if it has none. */
export function fieldOf(
  expression: Expression | undefined,
  names: readonly string[],
  position: number,
): Expression | undefined {
  if (expression?.kind === "list" && expression.items.length === 1) {
    return fieldOf(expression.items[0], names, position);
  }
  if (expression?.kind !== "struct") return undefined;
  const named = expression.fields.find(({ name }) => names.includes(name));
  if (named !== undefined) return named.value;
  const field = expression.fields[position];
  return field?.name === "" ? field.value : undefined;
}

/** What a socket address says; what it leaves to the interpreter is null. */
export interface SocketAddress {
  /** The address family. */
  readonly family: 4 | 6 | null;
  /** The IP address. */
  readonly address: IpAddress | null;
  /** The port. */
  readonly port: number | null;
  /** AF_UNSPEC: dissolves a connection. */
  readonly unspecified: boolean;
}

/** The socket address that an expression stands for. */
export function socketAddressOf(expression: Expression | undefined, define: Define): SocketAddress {
  const familyField = fieldOf(expression, ["sa_family", "sin_family", "sin6_family"], 0);
  const portField = fieldOf(expression, ["sin_port", "sin6_port"], 1);
  const addressField = fieldOf(expression, ["sin_addr", "sin6_addr"], 2);
  const familyName = familyField?.kind === "name" ? familyField.name : null;
  const isSix = familyName === "AF_INET6" || (addressField?.kind === "function" && addressField.name === "inet_pton");
  return {
    family: familyField === undefined || familyField.kind === "ellipsis" ? null : isSix ? 6 : 4,
    address: addressOf(addressField),
    port: portField === undefined || portField.kind === "ellipsis" ? null : numberOf(portField, define),
    unspecified: familyName === "AF_UNSPEC" || isNamed(expression, "AF_UNSPEC"),
  };
}

/** Whether an expression is this name and nothing else. */
export function isNamed(expression: Expression | undefined, name: string): boolean {
  return expression?.kind === "name" && expression.name === name;
}

function addressOf(expression: Expression | undefined): IpAddress | null {
  if (expression?.kind === "function") {
    const text = expression.arguments.find(({ kind }) => kind === "string");
    if (text?.kind === "string") return IpAddress.parse(text.value);
    return addressOf(expression.arguments[0]);
  }
  if (expression?.kind === "string") return IpAddress.parse(expression.value);
  if (expression?.kind === "name" && expression.name === "INADDR_ANY") return IpAddress.unspecified4;
  if (expression?.kind === "name" && expression.name === "INADDR_LOOPBACK") return IpAddress.loopback4;
  if (expression?.kind === "number") return IpAddress.fromUint32(expression.value);
  return null;
}
