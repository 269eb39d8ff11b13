/**
 * DNS answers, kept for as long as their records live.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import { canonicalName, type DnsMessage, type DnsQuestion, type DnsRecord, lifetime } from "./dns_message.ts";

/** Longest time to keep an answer, in seconds: a day, and for negative ones three hours (RFC 2308 section 5). */
const mostSeconds = { positive: 86_400, negative: 10_800 } as const;

/** What is kept of an answer. */
export interface CachedAnswer {
  /** `NOERROR` or `NXDOMAIN`. */
  readonly code: string;
  /** The records that answer, with what is left of their lives. */
  readonly answers: readonly DnsRecord[];
  /** The records about the zone, likewise. */
  readonly authorities: readonly DnsRecord[];
}

interface Entry extends CachedAnswer {
  readonly storedAt: number;
  readonly expiresAt: number;
}

/** A cache of answers, positive and negative, with room for so many: those not asked for the longest go first. */
export class DnsCache {
  readonly #clock: Clock;
  readonly #capacity: number;
  readonly #entries = new Map<string, Entry>();

  /** A cache for `capacity` answers. */
  constructor(clock: Clock, capacity = 10_000) {
    this.#clock = clock;
    this.#capacity = capacity;
  }

  /** How many answers it holds; some may have expired. */
  get size(): number {
    return this.#entries.size;
  }

  /** The answer to a question, or null. */
  get(question: DnsQuestion): CachedAnswer | null {
    const key = keyOf(question);
    const entry = this.#entries.get(key);
    if (entry === undefined) return null;
    this.#entries.delete(key);
    const now = this.#clock.now();
    if (entry.expiresAt <= now) return null;
    this.#entries.set(key, entry);
    const age = Math.floor((now - entry.storedAt) / 1000);
    const aged = (records: readonly DnsRecord[]) => records.map((record) => ({ ...record, ttl: record.ttl - age }));
    return { code: entry.code, answers: aged(entry.answers), authorities: aged(entry.authorities) };
  }

  /** Keeps an answer, where it may be kept. */
  set(question: DnsQuestion, message: DnsMessage): void {
    const seconds = lifetime(message, question);
    if (seconds === null || seconds <= 0) return;
    const isPositive = message.code === "NOERROR" && message.answers.length > 0;
    const most = isPositive ? mostSeconds.positive : mostSeconds.negative;
    const storedAt = this.#clock.now();
    const { code, answers, authorities } = message;
    const key = keyOf(question);
    this.#entries.delete(key);
    const expiresAt = storedAt + 1000 * Math.min(seconds, most);
    this.#entries.set(key, { code, answers, authorities, storedAt, expiresAt });
    if (this.#entries.size > this.#capacity) this.#entries.delete(this.#entries.keys().next().value!);
  }

  /** Forgets all answers. */
  clear(): void {
    this.#entries.clear();
  }
}

function keyOf({ name, type }: DnsQuestion): string {
  return `${type} ${canonicalName(name)}`;
}
