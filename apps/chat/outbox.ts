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

/** A bounded queue of lines: whoever reads too slowly misses some and is told so, and nobody waits for him. */
export class Outbox {
  readonly #conn: Writable;
  readonly #failed: (error: unknown) => void;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #dropped = 0;
  #sending: Promise<void> | null = null;
  #closed = false;

  /** Takes the connection to send on; `failed` is called once if that does not work any more. */
  constructor(conn: Writable, failed: (error: unknown) => void) {
    this.#conn = conn;
    this.#failed = failed;
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
      return;
    }
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#sending ??= this.#send();
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
          for (let sent = 0; sent < bytes.length;) sent += await this.#conn.write(bytes.subarray(sent));
          this.#waitingBytes = Math.max(0, this.#waitingBytes - bytes.length);
          if (this.#closed) return;
        }
        if (this.#dropped > 0 && this.#waiting.length === 0) this.#tellDropped();
      }
    } catch (error) {
      this.close();
      this.#failed(error);
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
