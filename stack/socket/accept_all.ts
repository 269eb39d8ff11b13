/**
 * Accepting in a loop, as `for await` over a listener does.
 *
 * @module
 */

/** A listener, as far as the loop needs it. */
export interface AcceptingListener<Conn> extends Disposable {
  /** Waits for the next connection; rejects when the listener is closed. */
  accept(): Promise<Conn>;
}

/** The connections as they come, until the listener is closed, which `isClosed` tells. Leaving the loop closes it. */
export async function* acceptAll<Conn>(
  listener: AcceptingListener<Conn>,
  isClosed: () => boolean,
): AsyncGenerator<Conn, undefined, undefined> {
  try {
    while (!isClosed()) {
      let conn: Conn;
      try {
        conn = await listener.accept();
      } catch (error) {
        if (isClosed()) return;
        throw error;
      }
      yield conn;
    }
  } finally {
    listener[Symbol.dispose]();
  }
}
