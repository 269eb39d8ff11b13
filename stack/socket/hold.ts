/**
 * What keeps the program running: waiting for something of a stack's, as waiting for something of the platform's does.
 *
 * @module
 */

/** Whoever keeps the program running while it is asked to: the stack. */
export interface ProgramKeeper {
  /** One more is waiting. */
  acquire(): void;
  /** One less is waiting. */
  release(): void;
}

/** Whether one connection, listener or socket keeps the program running. */
export class Hold {
  readonly #keeper: ProgramKeeper | null;
  #referenced = true;
  #waiting = false;
  #holding = false;

  /** Asks `keeper`; null where nothing depends on it. */
  constructor(keeper: ProgramKeeper | null) {
    this.#keeper = keeper;
  }

  /** Says whether somebody waits for something. */
  set waiting(waiting: boolean) {
    if (this.#waiting === waiting) return;
    this.#waiting = waiting;
    this.#update();
  }

  /** Says whether that is to keep the program running. */
  set referenced(referenced: boolean) {
    this.#referenced = referenced;
    this.#update();
  }

  #update(): void {
    const holding = this.#referenced && this.#waiting;
    if (holding === this.#holding) return;
    this.#holding = holding;
    if (holding) this.#keeper?.acquire();
    else this.#keeper?.release();
  }
}

/** Whether a stack keeps the program running: unless it is told not to, and all the same while somebody waits. */
export class StackHold implements ProgramKeeper {
  readonly #apply: (held: boolean) => void;
  #referenced = true;
  #waits = 0;

  /** Tells `apply` each time that the answer may have changed. */
  constructor(apply: (held: boolean) => void) {
    this.#apply = apply;
  }

  /** Says whether the stack keeps the program running by itself. */
  set referenced(referenced: boolean) {
    this.#referenced = referenced;
    this.#update();
  }

  /** As {@linkcode ProgramKeeper.acquire}. */
  acquire(): void {
    this.#waits++;
    this.#update();
  }

  /** As {@linkcode ProgramKeeper.release}. */
  release(): void {
    this.#waits--;
    this.#update();
  }

  #update(): void {
    this.#apply(this.#referenced || this.#waits > 0);
  }
}
