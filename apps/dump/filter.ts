/**
 * Which frames to show: a small language after tcpdump's (pcap-filter(7)).
 *
 * ```
 * expression  = conjunction { "or" conjunction }
 * conjunction = term { "and" term }
 * term        = "not" term | "(" expression ")" | primitive
 * primitive   = protocol | [protocol] [direction] kind value | direction address
 * protocol    = "ip" | "ip6" | "arp" | "icmp" | "icmp6" | "tcp" | "udp"
 * direction   = "src" | "dst"
 * kind        = "host" | "net" | "port" | "portrange"
 * ```
 *
 * @module
 */

import { type Description, IpAddress, IpPrefix } from "../../mod.ts";
import { InvalidValue } from "../cli.ts";

/** Whether a frame is to be shown. */
export type Filter = (frame: Description) => boolean;

type Direction = "src" | "dst" | null;

const protocols: Readonly<Record<string, Filter>> = {
  ip: (frame) => frame.network?.family === 4,
  ip6: (frame) => frame.network?.family === 6,
  arp: (frame) => frame.arp !== null,
  icmp: (frame) => frame.network?.family === 4 && frame.network.protocol === 1,
  icmp6: (frame) => frame.network?.family === 6 && frame.network.protocol === 58,
  tcp: (frame) => frame.network?.protocol === 6,
  udp: (frame) => frame.network?.protocol === 17,
};

const kinds: ReadonlySet<string> = new Set(["host", "net", "port", "portrange"]);
const operators: Readonly<Record<string, string>> = { "&&": "and", "||": "or", "!": "not" };

/** Shows every frame. */
const everything: Filter = () => true;

/**
 * Reads a filter; an empty text lets everything pass.
 *
 * @throws {InvalidValue} If it makes no sense. The message says where, and what to write instead.
 */
export function parseFilter(text: string): Filter {
  const tokens = (text.match(/[()!]|&&|\|\||[^\s()!&|]+|[&|]/g) ?? [])
    .map((token) => Object.hasOwn(operators, token) ? operators[token]! : token);
  return tokens.length === 0 ? everything : new Parser(tokens).parse();
}

class Parser {
  readonly #tokens: readonly string[];
  #next = 0;

  constructor(tokens: readonly string[]) {
    this.#tokens = tokens;
  }

  parse(): Filter {
    const filter = this.#expression();
    const rest = this.#peek();
    if (rest !== null) throw new InvalidValue(`"${rest}" does not fit there: put "and", "or" or nothing before it`);
    return filter;
  }

  #expression(): Filter {
    let filter = this.#conjunction();
    while (this.#accept("or")) {
      const [left, right] = [filter, this.#conjunction()];
      filter = (frame) => left(frame) || right(frame);
    }
    return filter;
  }

  #conjunction(): Filter {
    let filter = this.#term();
    while (this.#accept("and")) {
      const [left, right] = [filter, this.#term()];
      filter = (frame) => left(frame) && right(frame);
    }
    return filter;
  }

  #term(): Filter {
    if (this.#accept("not")) {
      const filter = this.#term();
      return (frame) => !filter(frame);
    }
    if (this.#accept("(")) {
      const filter = this.#expression();
      if (!this.#accept(")")) throw new InvalidValue('a ")" is missing');
      return filter;
    }
    return this.#primitive();
  }

  #primitive(): Filter {
    const protocol = this.#peek() === null ? null : this.#take((token) => Object.hasOwn(protocols, token));
    const direction = this.#take((token) => token === "src" || token === "dst") as Direction;
    const kind = this.#take((token) => kinds.has(token));
    const matches = protocol === null ? everything : protocols[protocol]!;
    if (kind === null && direction === null) {
      if (protocol !== null) return matches;
      const found = this.#peek();
      throw new InvalidValue(
        `${found === null ? "something is missing at the end" : `"${found}" is not known`}: write it like ` +
          '"host 10.0.0.1 and tcp port 80", with host, net, port, portrange, src, dst, ip, arp, icmp, tcp, udp',
      );
    }
    const ofValue = this.#match(kind ?? "host", direction);
    return (frame) => matches(frame) && ofValue(frame);
  }

  #match(kind: string, direction: Direction): Filter {
    const value = this.#take(() => true);
    if (value === null) throw new InvalidValue(`"${kind}" needs a value`);
    switch (kind) {
      case "host": {
        const host = IpAddress.tryParse(value)?.toString();
        if (host === undefined) throw new InvalidValue(`"${value}" is no address: write it like 10.0.0.1`);
        return ofAddresses(direction, (address) => address === host);
      }
      case "net": {
        const net = parseNet(value);
        return ofAddresses(direction, (address) => net.contains(IpAddress.parse(address)));
      }
      case "port":
        return ofPorts(direction, ...parsePorts(`${value}-${value}`, value));
      default:
        return ofPorts(direction, ...parsePorts(value, value));
    }
  }

  #peek(): string | null {
    return this.#tokens[this.#next] ?? null;
  }

  #accept(token: string): boolean {
    return this.#take((found) => found === token) !== null;
  }

  #take(accepts: (token: string) => boolean): string | null {
    const token = this.#peek();
    if (token === null || !accepts(token)) return null;
    this.#next++;
    return token;
  }
}

function parseNet(value: string): IpPrefix {
  try {
    return IpPrefix.parse(value);
  } catch {
    throw new InvalidValue(`"${value}" is no network: write it like 10.0.0.0/8`);
  }
}

function parsePorts(range: string, given: string): [number, number] {
  const [, first, last] = /^(\d{1,5})-(\d{1,5})$/.exec(range) ?? [];
  const ports = [Number(first ?? NaN), Number(last ?? NaN)] as const;
  if (ports[0] <= ports[1] && ports[1] <= 65535) return [...ports];
  throw new InvalidValue(`"${given}" is no port: give a number up to 65535, or with portrange two of them like 80-90`);
}

function ofAddresses(direction: Direction, matches: (address: string) => boolean): Filter {
  return ({ network, arp }) => {
    const source = network?.source ?? arp?.sender;
    const destination = network?.destination ?? arp?.target;
    return (direction !== "dst" && source !== undefined && matches(source)) ||
      (direction !== "src" && destination !== undefined && matches(destination));
  };
}

function ofPorts(direction: Direction, first: number, last: number): Filter {
  const matches = (port: number | null | undefined) => port != null && port >= first && port <= last;
  return ({ transport }) =>
    (direction !== "dst" && matches(transport?.sourcePort)) ||
    (direction !== "src" && matches(transport?.destinationPort));
}
