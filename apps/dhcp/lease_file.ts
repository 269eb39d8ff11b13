/**
 * The leases of a server in a file, so that they outlive it.
 *
 * @module
 */

import { IpAddress, MacAddress } from "../../mod.ts";
import type { Binding } from "../../stack/application/dhcp.ts";
import { errorLine } from "../cli.ts";

/** A binding in the file. Times are those of the calendar, since a stack's clock begins with the program. */
interface SavedBinding {
  address: string;
  client: string;
  mac: string;
  hostName: string | null;
  state: "leased" | "free" | "declined";
  /** In the form of ISO 8601; null for ever. */
  expires: string | null;
}

const states: readonly unknown[] = ["leased", "free", "declined"];

/** A file of leases. */
export class LeaseFile {
  readonly #path: string;
  /** What to add to a moment of the stack's clock for that of the calendar, in milliseconds. */
  readonly #epoch: number;

  /** `now` is the present moment of the stack's clock. Nothing is read yet. */
  constructor(path: string, now: number) {
    this.#path = path;
    this.#epoch = Date.now() - now;
  }

  /**
   * The leases in the file; none if there is no file.
   *
   * @throws {Error} If it cannot be read, or is no file of leases.
   */
  read(): Binding[] {
    let text: string;
    try {
      text = Deno.readTextFileSync(this.#path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw new Error(`Cannot read "${this.#path}": ${errorLine(error)}`);
    }
    try {
      return (JSON.parse(text) as SavedBinding[]).map((saved) => this.#load(saved));
    } catch (error) {
      throw new Error(`Cannot read "${this.#path}" as a file of leases: ${errorLine(error)}; mend or remove it`);
    }
  }

  /**
   * Replaces the file, at once or not at all.
   *
   * @throws {Error} If it cannot be written.
   */
  write(bindings: readonly Readonly<Binding>[]): void {
    const saved = bindings.filter(({ state }) => state !== "offered").map((binding) => this.#save(binding));
    const part = `${this.#path}.part`;
    try {
      Deno.writeTextFileSync(part, `${JSON.stringify(saved, null, 2)}\n`);
      Deno.renameSync(part, this.#path);
    } catch (error) {
      throw new Error(`Cannot write "${this.#path}": ${errorLine(error)}`);
    }
  }

  #save({ address, client, mac, hostName, state, expiresAt }: Readonly<Binding>): SavedBinding {
    return {
      address: address.toString(),
      client,
      mac: mac.toString(),
      hostName,
      state: state as SavedBinding["state"],
      expires: expiresAt === Infinity ? null : new Date(expiresAt + this.#epoch).toISOString(),
    };
  }

  #load({ address, client, mac, hostName, state, expires }: SavedBinding): Binding {
    const expiresAt = expires === null ? Infinity : Date.parse(expires) - this.#epoch;
    const isSound = typeof client === "string" && states.includes(state) && !Number.isNaN(expiresAt) &&
      (hostName === null || typeof hostName === "string");
    if (!isSound) throw new TypeError(`the lease of ${address} makes no sense`);
    return { address: IpAddress.parse(address), client, mac: MacAddress.parse(mac), hostName, state, expiresAt };
  }
}
