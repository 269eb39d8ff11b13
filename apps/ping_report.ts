/**
 * What `ping` prints, in the form that iputils made familiar: its times, lines and summary.
 *
 * @module
 */

/** Round-trip times and losses, as they come in. */
export class PingStatistics {
  /** Echo requests sent. */
  transmitted: number = 0;
  /** Requests that were answered. */
  received: number = 0;
  /** Answers beyond the first to a request. */
  duplicates: number = 0;
  /** ICMP errors about requests. */
  errors: number = 0;
  #least = Infinity;
  #most = 0;
  #sum = 0;
  #sumOfSquares = 0;

  /** Takes note of a reply that came after `time` milliseconds. */
  reply(time: number, duplicate: boolean): void {
    if (duplicate) this.duplicates++;
    else this.received++;
    this.#least = Math.min(this.#least, time);
    this.#most = Math.max(this.#most, time);
    this.#sum += time;
    this.#sumOfSquares += time * time;
  }

  /** The lines of the summary; `elapsed` is the milliseconds from the first request to the end. */
  summary(destination: string, elapsed: number): string[] {
    const { transmitted, received, duplicates, errors } = this;
    const parts = [`${transmitted} packets transmitted`, `${received} received`];
    if (duplicates > 0) parts.push(`+${duplicates} duplicates`);
    if (errors > 0) parts.push(`+${errors} errors`);
    if (transmitted > 0) parts.push(`${sixDigits(100 * (transmitted - received) / transmitted)}% packet loss`);
    parts.push(`time ${Math.round(elapsed)}ms`);
    const lines = [`--- ${destination} ping statistics ---`, parts.join(", ")];
    const replies = received + duplicates;
    if (replies > 0) {
      const average = this.#sum / replies;
      // Rounding can leave a variance of nothing a little below zero.
      const deviation = Math.sqrt(Math.max(0, this.#sumOfSquares / replies - average * average));
      const times = [this.#least, average, this.#most, deviation].map((time) => time.toFixed(3));
      lines.push(`rtt min/avg/max/mdev = ${times.join("/")} ms`);
    }
    return lines;
  }
}

/** At most six significant digits: 33.3333, 0.1, 100. */
function sixDigits(value: number): string {
  return String(Number(value.toPrecision(6)));
}

/** A round-trip time, of three significant digits or, below 1 ms, to the microsecond: 0.069, 1.23, 12.3, 123. */
export function formatTime(time: number): string {
  // The rounded number decides how many digits follow: 9.996 becomes 10.0, not 10.00.
  for (const [digits, limit] of [[3, 1], [2, 10], [1, 100]] as const) {
    const text = time.toFixed(digits);
    if (Number(text) < limit) return text;
  }
  return time.toFixed(0);
}

/** The first line: ICMP payload `size` in bytes, and in brackets with the ICMP and IPv4 headers. */
export function formatHeading(destination: string, address: string, size: number): string {
  return `PING ${destination} (${address}) ${size}(${size + 28}) bytes of data.`;
}
