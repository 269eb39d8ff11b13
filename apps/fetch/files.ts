/**
 * Where `fetch` takes a body from, and where it puts one.
 *
 * @module
 */

/** A body to send. */
export interface Body extends Disposable {
  /** Its bytes; null for none. */
  readonly stream: ReadableStream<Uint8Array<ArrayBuffer>> | Uint8Array<ArrayBuffer> | null;
}

/**
 * The body that an option says: a text, `@` and a file's name, or `@-` for standard input.
 *
 * @throws {Error} If the file cannot be opened.
 */
export async function openBody(data: string | null): Promise<Body> {
  const none = { [Symbol.dispose]: () => {} };
  if (data === null) return { stream: null, ...none };
  if (data === "@-") return { stream: Deno.stdin.readable, ...none };
  if (!data.startsWith("@")) return { stream: new TextEncoder().encode(data), ...none };
  const path = data.slice(1);
  const file = await Deno.open(path).catch((error) => {
    throw new Error(`open "${path}": ${error.message}`);
  });
  return { stream: file.readable, ...none };
}

/** Where a body goes. */
export interface Output extends AsyncDisposable {
  /** Writes all of `bytes`. */
  write(bytes: Uint8Array): Promise<void>;
}

/**
 * A file, or standard output where `path` is null.
 *
 * @throws {Error} If the file cannot be made.
 */
export async function openOutput(path: string | null): Promise<Output> {
  if (path === null) {
    const writer = Deno.stdout.writable.getWriter();
    return {
      write: (bytes) => writer.write(bytes),
      [Symbol.asyncDispose]: () => {
        writer.releaseLock();
        return Promise.resolve();
      },
    };
  }
  const file = await Deno.open(path, { write: true, create: true, truncate: true }).catch((error) => {
    throw new Error(`write "${path}": ${error.message}`);
  });
  const writer = file.writable.getWriter();
  return { write: (bytes) => writer.write(bytes), [Symbol.asyncDispose]: () => writer.close() };
}
