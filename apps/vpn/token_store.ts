/**
 * The tokens that a VPN server knows, and what belongs to them, in a SQLite database.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { IpAddress } from "../../mod.ts";
import type { AddressPool } from "../../stack/application/tunnel/address_pool.ts";
import type { Admission } from "../../stack/application/tunnel/server.ts";
import { errorLine } from "../cli.ts";

/** Bytes of a token by which its row is found: no secret. */
const selectorBytes = 6;
/** Bytes of a token that are its secret: 256 bits, so that a plain hash of it tells nothing. */
const secretBytes = 32;

const dayMilliseconds = 86_400_000;

const schema = `
  CREATE TABLE IF NOT EXISTS tokens (
    name TEXT PRIMARY KEY,
    selector TEXT NOT NULL UNIQUE,
    hash BLOB NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER,
    address TEXT UNIQUE
  ) STRICT;
  CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
`;

/** A token as the store knows it; the token itself is not kept. */
export interface TokenEntry {
  /** Its name. */
  readonly name: string;
  /** When it was made, in ISO 8601. */
  readonly created: string;
  /** When it expires, in ISO 8601, or null for never. */
  readonly expires: string | null;
  /** The address that belongs to it, or null before it was first used. */
  readonly address: string | null;
}

/** How a token is to be. */
export interface TokenRequest {
  /** Days until it expires, or null for never. */
  readonly days: number | null;
  /** The address that is to belong to it, or null for the next free one. */
  readonly address: IpAddress | null;
}

interface Row {
  name: string;
  hash: Uint8Array;
  created: number;
  expires: number | null;
  address: string | null;
}

/** A store of tokens. Several programs may have it open at the same time. */
export class TokenStore implements Disposable {
  readonly #database: DatabaseSync;
  readonly #now: () => number;

  /**
   * Opens the store in a file, which is made for nobody but its user where it is not there.
   *
   * @throws {Error} If that cannot be done, or the file is something else.
   */
  constructor(path: string, now: () => number = Date.now) {
    this.#now = now;
    try {
      if (path !== ":memory:") {
        Deno.mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
        // Made before SQLite does, which would let everybody read it.
        Deno.openSync(path, { read: true, write: true, create: true, mode: 0o600 }).close();
      }
      this.#database = new DatabaseSync(path);
      this.#database.exec("PRAGMA busy_timeout = 5000");
      // Two hundred clients that come at once for the first time would wait seconds for the disk otherwise.
      this.#database.exec("PRAGMA journal_mode = WAL");
      this.#database.exec("PRAGMA synchronous = NORMAL");
      this.#database.exec(schema);
    } catch (error) {
      throw new Error(`Cannot open the tokens in "${path}": ${errorLine(error)}`);
    }
  }

  /**
   * Makes a token, and returns it: it can never be asked for again.
   *
   * @throws {Error} If there is one of that name, or the address belongs to another.
   */
  create(name: string, { days, address }: TokenRequest): string {
    const selector = randomBytes(selectorBytes).toString("base64url");
    const secret = randomBytes(secretBytes);
    const now = this.#now();
    if (this.#find("name", name) !== null) {
      throw new Error(`Cannot create the token "${name}": there is one of that name, revoke it first`);
    }
    if (address !== null && this.#find("address", address.toString()) !== null) {
      throw new Error(`Cannot create the token "${name}": ${address} belongs to another one`);
    }
    this.#database.prepare("INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?)").run(
      name,
      selector,
      hashOf(secret),
      now,
      days === null ? null : now + days * dayMilliseconds,
      address?.toString() ?? null,
    );
    return selector + secret.toString("base64url");
  }

  /** All tokens, oldest first. */
  list(): TokenEntry[] {
    const rows = this.#database.prepare("SELECT * FROM tokens ORDER BY created, name").all() as unknown as Row[];
    return rows.map(({ name, created, expires, address }) => ({
      name,
      created: new Date(created).toISOString(),
      expires: expires === null ? null : new Date(expires).toISOString(),
      address,
    }));
  }

  /**
   * Forgets a token: a running server ends its session within a second, and its address is free.
   *
   * @throws {Error} If there is none of that name.
   */
  revoke(name: string): void {
    const { changes } = this.#database.prepare("DELETE FROM tokens WHERE name = ?").run(name);
    if (changes === 0) throw new Error(`Cannot revoke the token "${name}": there is none of that name`);
  }

  /** Who a token stands for. Its first use gives it an address of the pool, for good. */
  admit(token: string, pool: AddressPool): Admission {
    const selectorLength = Math.ceil(selectorBytes * 4 / 3);
    const row = this.#find("selector", token.slice(0, selectorLength));
    const hash = hashOf(Buffer.from(token.slice(selectorLength), "base64url"));
    // Compared whether or not there is such a row, and in constant time: how long it takes tells nothing.
    const isRight = timingSafeEqual(hash, row?.hash ?? new Uint8Array(hash.length));
    if (row === null || !isRight) return { status: 401, reason: "The token is not known here" };
    if (this.#isOver(row)) return { status: 403, reason: `The token "${row.name}" has expired` };
    const address = this.#addressFor(row, pool);
    if (address === null) return { status: 503, reason: `All addresses of ${pool.network} belong to other tokens` };
    return { name: row.name, address };
  }

  /** Whether a token of that name is there and has not expired. */
  isValid(name: string): boolean {
    const row = this.#find("name", name);
    return row !== null && !this.#isOver(row);
  }

  /** Something that is to be there again after a restart, or null. */
  setting(name: string): string | null {
    const row = this.#database.prepare("SELECT value FROM settings WHERE name = ?").get(name);
    return row === undefined ? null : String(row["value"]);
  }

  /** Keeps something for after a restart. */
  keepSetting(name: string, value: string): void {
    this.#database.prepare("INSERT OR REPLACE INTO settings VALUES (?, ?)").run(name, value);
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#database.close();
  }

  #find(column: "name" | "selector" | "address", value: string): Row | null {
    const row = this.#database.prepare(`SELECT * FROM tokens WHERE ${column} = ?`).get(value);
    return row === undefined ? null : row as unknown as Row;
  }

  #isOver({ expires }: Row): boolean {
    return expires !== null && expires <= this.#now();
  }

  /** The address that belongs to a token, or from now on does; null where none is free. */
  #addressFor({ name, address }: Row, pool: AddressPool): IpAddress | null {
    if (address !== null) {
      const own = IpAddress.parse(address);
      if (pool.isHost(own)) return own;
    }
    const others = this.#database.prepare("SELECT address FROM tokens WHERE address IS NOT NULL AND name != ?").all(
      name,
    );
    const free = pool.free(others.map((row) => IpAddress.parse(String(row["address"]))));
    if (free === null) return null;
    this.#database.prepare("UPDATE tokens SET address = ? WHERE name = ?").run(free.toString(), name);
    return free;
  }
}

function hashOf(secret: Uint8Array): Uint8Array {
  return createHash("sha256").update(secret).digest();
}
