/**
 * Counters: each module keeps a plain object of numbers and registers it under its name.
 *
 * @module
 */

/** The counters of one module, by name. Modules declare an interface of their own with these values. */
export type CounterGroup = Record<string, number>;

/** The counters of a stack, by module. */
export class Counters {
  readonly #groups = new Map<string, CounterGroup>();

  /** Registers a module's counters under `name` and returns them, so that the module can keep and increment them. */
  register<Group extends { [name in keyof Group]: number }>(name: string, group: Group): Group {
    if (this.#groups.has(name)) throw new Error(`Cannot register the counters "${name}": the name is taken`);
    this.#groups.set(name, group as CounterGroup);
    return group;
  }

  /** Forgets the group registered under `name`. */
  unregister(name: string): void {
    this.#groups.delete(name);
  }

  /** All counters as one flat object: `{ "ipv4.badChecksum": 0, ... }`. With `nonZero`, only those that counted. */
  snapshot(options: { nonZero?: boolean } = {}): Record<string, number> {
    const all: Record<string, number> = {};
    for (const [group, counters] of this.#groups) {
      for (const [name, value] of Object.entries(counters)) {
        if (value !== 0 || !options.nonZero) all[`${group}.${name}`] = value;
      }
    }
    return all;
  }
}
