/**
 * Reading small files whole.
 *
 * @module
 */

import { fileError } from "./file_error.ts";

/**
 * What a file holds, as text.
 *
 * @throws {Error} If it cannot be read.
 */
export async function readTextFile(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    throw fileError("read", `"${path}"`, error);
  }
}
