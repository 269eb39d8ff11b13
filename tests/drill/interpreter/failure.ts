/**
 * How a script ends before its end.
 *
 * @module
 */

/** The stack did not do what the script expects. */
export class ScriptFailure extends Error {
  /** The class's name. */
  override readonly name: string = "ScriptFailure";
  /** The line of the event that it is about, where that is not the present one. */
  line: number | null = null;
}

/** The script asks for something that is not interpreted, or that the stack does not have. */
export class ScriptSkipped extends Error {
  /** The class's name. */
  override readonly name: string = "ScriptSkipped";
}
