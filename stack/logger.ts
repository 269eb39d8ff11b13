/**
 * What the stack asks of a logger. `console`, LogTape and `@std/log` loggers all fit as they are.
 *
 * @module
 */

/** A structural logger. */
export interface Logger {
  /** Every segment and state change. */
  debug(message: string): void;
  /** Connections and devices that come and go. */
  info(message: string): void;
  /** Something that the program's user may want to mend. */
  warn(message: string): void;
  /** Something that failed. */
  error(message: string): void;
}
