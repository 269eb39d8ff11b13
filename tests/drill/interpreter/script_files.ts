/**
 * The files that scripts stand in.
 *
 * @module
 */

/** How the names of scripts end. */
const suffix = ".pkt";

/**
 * The scripts that `operands` name, in order: files as they are given, and all scripts below directories.
 *
 * @throws {Error} If there is nothing of that name.
 */
export async function findScripts(operands: readonly string[]): Promise<string[]> {
  const scripts: string[] = [];
  for (const operand of operands) {
    const found = await Deno.stat(operand).catch(() => null);
    if (found === null) throw new Error(`Cannot read "${operand}": give a script, or a directory of scripts`);
    if (found.isDirectory) scripts.push(...await scriptsBelow(operand.replace(/\/+$/, "")));
    else scripts.push(operand);
  }
  return scripts;
}

async function scriptsBelow(directory: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(directory));
  entries.sort((left, right) => left.name < right.name ? -1 : 1);
  const scripts: string[] = [];
  for (const { name, isDirectory } of entries) {
    const path = `${directory}/${name}`;
    if (isDirectory) scripts.push(...await scriptsBelow(path));
    else if (name.endsWith(suffix)) scripts.push(path);
  }
  return scripts;
}

/** Where the capture of a script goes: below `directory`, at the script's own path. */
export function capturePath(directory: string, script: string): string {
  const below = script.split("/").filter((part) => part !== "" && part !== "." && part !== "..").join("/");
  return `${directory}/${below.endsWith(suffix) ? below.slice(0, -suffix.length) : below}.pcapng`;
}
