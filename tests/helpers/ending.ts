/**
 * Programs that may end by themselves.
 *
 * @module
 */

const module = import.meta.resolve("../../mod.ts");

/**
 * Runs a program that does `body`, with all of `mod.ts` as `tapstack`, in a process of its own, and returns whether
 * something keeps it running: a timer that does not would then have its turn.
 */
export async function keepsRunning(body: string): Promise<boolean> {
  const code = `
    import * as tapstack from ${JSON.stringify(module)};
    ${body}
    Deno.unrefTimer(setTimeout(() => (console.log("running"), Deno.exit()), 50));`;
  const command = new Deno.Command(Deno.execPath(), { args: ["eval", "--no-check", code], stdin: "null" });
  const { success, stdout, stderr } = await command.output();
  if (!success) throw new Error(`The program failed: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout) === "running\n";
}
