/**
 * Asking which programs of the system a test can use.
 *
 * @module
 */

/** Whether a program can be started. */
export function hasProgram(name: string, ...args: string[]): boolean {
  try {
    return new Deno.Command(name, { args, stdin: "null", stdout: "null", stderr: "null" }).outputSync().success;
  } catch {
    return false;
  }
}

/** Whether the shell would find a program of that name. */
export function isInstalled(name: string): boolean {
  return (Deno.env.get("PATH") ?? "").split(":").some((folder) => {
    try {
      return Deno.statSync(`${folder}/${name}`).isFile;
    } catch {
      return false;
    }
  });
}
