/**
 * What waits to be sent to one client.
 *
 * @module
 */

/** What can be written to. */
export interface Writable {
  /** Sends at least one byte and resolves with how many were taken. */
  write(bytes: Uint8Array): Promise<number>;
}

/** The most bytes that wait for one client, beside those that TCP has taken. */
export const mostWaitingBytes = 65_536;

/** Room that is always left for the notice of what was dropped. */
const noticeBytes = 100;

/** How long a client may take nothing while too much waits for it, in milliseconds. */
export const patience = 10_000;

/** What an {@linkcode Outbox} needs. */
export interface OutboxOptions {
  /** The connection to send on. */
  readonly conn: Writable;
  /** Called once if sending does not work any more. */
  readonly onFailure: (error: unknown) => void;
  /** Called once if lines were dropped and nothing has been taken for {@linkcode patience}: the client does not read. */
  readonly onNeglect: () => void;
  /** Milliseconds of a clock. */
  readonly now: () => number;
}

/**
 * A bounded queue of lines: whoever reads too slowly misses some and is told so, whoever does not read at all is
 * reported, and nobody waits for either.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #dropped = 0;
  #sending: Promise<void> | null = null;
  #closed = false;
  /** When the connection took something last, or was given something to take after a rest. */
  #takenAt = 0;

  /** Takes what it needs. */
  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Lines that were dropped and of which the client has not been told yet. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Queues a line, or drops it when too much waits already. Never waits. */
  post(line: string): void {
    if (this.#closed) return;
    const bytes = new TextEncoder().encode(`${line}\n`);
    if (this.#waitingBytes + bytes.length > mostWaitingBytes - noticeBytes) {
      this.#dropped++;
    } else {
      this.#waiting.push(bytes);
      this.#waitingBytes += bytes.length;
      if (this.#sending === null) {
        this.#takenAt = this.#options.now();
        this.#sending = this.#send();
      }
    }
    if (this.#dropped === 0 || this.#options.now() - this.#takenAt < patience) return;
    this.close();
    this.#options.onNeglect();
  }

  /** Resolves when everything that waited has been taken, or cannot be any more. */
  async drain(): Promise<void> {
    await this.#sending;
  }

  /** Throws away what waits, and takes no more. */
  close(): void {
    this.#closed = true;
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  async #send(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        const batch = this.#waiting;
        this.#waiting = [];
        for (const bytes of batch) {
          for (let sent = 0; sent < bytes.length;) {
            sent += await this.#options.conn.write(bytes.subarray(sent));
            this.#takenAt = this.#options.now();
          }
          this.#waitingBytes = Math.max(0, this.#waitingBytes - bytes.length);
          if (this.#closed) return;
        }
        if (this.#dropped > 0 && this.#waiting.length === 0) this.#tellDropped();
      }
    } catch (error) {
      this.close();
      this.#options.onFailure(error);
    } finally {
      this.#sending = null;
    }
  }

  #tellDropped(): void {
    const lines = this.#dropped === 1 ? "line was" : "lines were";
    const notice = new TextEncoder().encode(`* ${this.#dropped} ${lines} dropped: you read too slowly\n`);
    this.#dropped = 0;
    this.#waiting.push(notice);
    this.#waitingBytes += notice.length;
  }
}
