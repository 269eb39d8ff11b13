/**
 * The C library: the one place where this project calls `Deno.dlopen`.
 *
 * It is opened when the first user asks for it and closed with the last, so that importing needs no permission and a
 * program that has closed its devices has closed everything.
 *
 * @module
 */

/** The C library's functions, named as in their manual pages. A result of -1 means: see {@linkcode Libc.errno}. */
export interface LibcCalls {
  /** open(2) of a path that ends in a zero byte. */
  open(path: BufferSource, flags: number): number;
  /** openat(2) of a path that ends in a zero byte, seen from a directory. */
  openat(directory: number, path: BufferSource, flags: number): number;
  /** fsopen(2); null before version 2.36 of the library. */
  readonly fsopen: ((filesystem: BufferSource, flags: number) => number) | null;
  /** fsconfig(2) of a command that takes nothing else; null before version 2.36 of the library. */
  readonly fsconfig: ((context: number, command: number, key: null, value: null, auxiliary: number) => number) | null;
  /** fsmount(2); null before version 2.36 of the library. */
  readonly fsmount: ((context: number, flags: number, attributes: number) => number) | null;
  /** close(2) */
  close(descriptor: number): number;
  /** read(2) */
  read(descriptor: number, buffer: BufferSource, length: number): number;
  /** write(2) */
  write(descriptor: number, buffer: BufferSource, length: number): number;
  /** writev(2) of `count` pieces; see {@linkcode IoVector}. */
  writev(descriptor: number, pieces: BufferSource, count: number): number;
  /** ioctl(2) with a structure as its argument. */
  ioctl(descriptor: number, request: number, argument: BufferSource): number;
  /** ioctl(2) with a number as its argument. */
  ioctlNumber(descriptor: number, request: number, argument: number): number;
  /** eventfd(2) */
  eventfd(initial: number, flags: number): number;
  /** ppoll(2), at once: on this thread. */
  ppoll(descriptors: BufferSource, count: number, timeout: BufferSource | null, mask: null): number;
  /** ppoll(2) on a thread of its own, where {@linkcode Libc.errno} cannot look. */
  ppollAsync(descriptors: BufferSource, count: number, timeout: BufferSource | null, mask: null): Promise<number>;
  /** socket(2) */
  socket(domain: number, type: number, protocol: number): number;
  /** bind(2) */
  bind(descriptor: number, address: BufferSource, length: number): number;
  /** setsockopt(2) */
  setsockopt(descriptor: number, level: number, option: number, value: BufferSource, length: number): number;
  /** send(2) */
  send(descriptor: number, buffer: BufferSource, length: number, flags: number): number;
  /** recv(2) */
  recv(descriptor: number, buffer: BufferSource, length: number, flags: number): number;
  /** recvmsg(2) */
  recvmsg(descriptor: number, message: BufferSource, flags: number): number;
  /** sigaction(2); without a new action, it only tells the present one. */
  sigaction(signal: number, action: null, present: BufferSource): number;
  /** unshare(2) */
  unshare(flags: number): number;
  /** setns(2) */
  setns(descriptor: number, type: number): number;
}

// Lengths and results as 32 bits: 64-bit ones pass through a slower conversion in Deno, and no call here exceeds them.
const table = {
  __errno_location: { parameters: [], result: "pointer" },
  open: { parameters: ["buffer", "i32"], result: "i32" },
  openat: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  fsopen: { parameters: ["buffer", "u32"], result: "i32", optional: true },
  fsconfig: { parameters: ["i32", "u32", "buffer", "buffer", "i32"], result: "i32", optional: true },
  fsmount: { parameters: ["i32", "u32", "u32"], result: "i32", optional: true },
  close: { parameters: ["i32"], result: "i32" },
  read: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  write: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  writev: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  ioctl: { parameters: ["i32", "u32", "buffer"], result: "i32" },
  ioctlNumber: { name: "ioctl", parameters: ["i32", "u32", "u32"], result: "i32" },
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  ppoll: { parameters: ["buffer", "u32", "buffer", "buffer"], result: "i32" },
  ppollAsync: { name: "ppoll", parameters: ["buffer", "u32", "buffer", "buffer"], result: "i32", nonblocking: true },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  send: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  recv: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  recvmsg: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  sigaction: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  unshare: { parameters: ["i32"], result: "i32" },
  setns: { parameters: ["i32", "i32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

let shared: Libc | null = null;

/** A share in the opened C library. */
export class Libc implements Disposable {
  /** The functions. */
  readonly calls: LibcCalls;
  readonly #library: Deno.DynamicLibrary<typeof table>;
  readonly #errno: Int32Array;
  #shares = 0;

  private constructor() {
    if (Deno.build.os !== "linux") {
      throw new Deno.errors.NotSupported(
        `Cannot open the C library: network devices need Linux, this is ${Deno.build.os}; use an in-memory link`,
      );
    }
    this.#library = Deno.dlopen("libc.so.6", table);
    this.calls = this.#library.symbols;
    const location = this.#library.symbols.__errno_location();
    if (location === null) throw new Error("Cannot find errno: __errno_location() returned null");
    this.#errno = new Int32Array(Deno.UnsafePointerView.getArrayBuffer(location, 4));
  }

  /**
   * Takes a share, to be given back with {@linkcode Libc.close}.
   *
   * @throws {Deno.errors.NotCapable} If the program was started without `--allow-ffi`.
   * @throws {Deno.errors.NotSupported} If this is not Linux.
   */
  static open(): Libc {
    shared ??= new Libc();
    shared.#shares++;
    return shared;
  }

  /**
   * Why the last call failed. To be read at once after a -1, and never after a non-blocking call: errno belongs to a
   * thread, and that call ran on another one.
   */
  get errno(): number {
    return this.#errno[0]!;
  }

  /** Gives the share back. */
  close(): void {
    if (--this.#shares > 0) return;
    if (shared === this) shared = null;
    this.#library.close();
  }

  /** The same as {@linkcode Libc.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/** A path, interface name or the like as the C library takes it: UTF-8 with a zero byte behind it. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}
