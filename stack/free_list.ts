/**
 * Objects that nobody uses, for whoever needs such a one next: that spares making them, and the processor has in its
 * caches what was just used.
 *
 * @module
 */

/** So many are kept unless told otherwise. */
const usualCapacity = 1024;

/** A bounded stock of objects that nobody uses. */
export class FreeList<Item> {
  readonly #items: Item[] = [];
  readonly #capacity: number;

  /** An empty one, for up to `capacity` objects. */
  constructor(capacity: number = usualCapacity) {
    this.#capacity = capacity;
  }

  /** The object that was kept last, or undefined when there is none. */
  take(): Item | undefined {
    return this.#items.pop();
  }

  /** Keeps an object that nobody uses any more, where there is room; returns whether there was. */
  keep(item: Item): boolean {
    if (this.#items.length >= this.#capacity) return false;
    this.#items.push(item);
    return true;
  }
}
