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
 * @throws {Error} If there is nothing of that name, or no script in a directory.
 */
export async function findScripts(operands: readonly string[]): Promise<string[]> {
  const scripts: string[] = [];
  for (const operand of operands) {
    const found = await Deno.stat(operand).catch(() => null);
    if (found === null) throw new Error(`Cannot read "${operand}": give a script, or a directory of scripts`);
    if (!found.isDirectory) {
      scripts.push(operand);
      continue;
    }
    const below = await scriptsBelow(operand.replace(/\/+$/, ""));
    if (below.length === 0) {
      throw new Error(`Cannot find a script in "${operand}": give a directory of files named *.pkt`);
    }
    scripts.push(...below);
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
