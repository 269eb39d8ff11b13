/**
 * Runs the tests, and prints `N passed, N failed, N skipped` on its last line. Arguments are passed on to `deno test`.
 *
 * The tests against the kernel need network namespaces. Root makes them; anybody else is given a user namespace in
 * which they can, where the system allows it. Where it does not, these tests are skipped and counted as such.
 *
 * @module
 */

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

async function succeeds(command: string, ...args: string[]): Promise<boolean> {
  try {
    const { success } = await new Deno.Command(command, { args, stdout: "null", stderr: "null" }).output();
    return success;
  } catch {
    return false;
  }
}

function canOpenTun(): boolean {
  try {
    Deno.openSync("/dev/net/tun", { read: true, write: true }).close();
    return true;
  } catch {
    return false;
  }
}

/** What goes in front of the command so that it may make network namespaces: nothing for root, or where it cannot. */
async function namespacePrefix(): Promise<string[]> {
  if (Deno.uid() === 0) return [];
  if (canOpenTun() && await succeeds("unshare", "-rn", "true")) return ["unshare", "-rn"];
  console.log(
    "No network namespace is to be had (root, or `unshare -rn` and /dev/net/tun): tests that need one are skipped",
  );
  return [];
}

/** The counts of a JUnit report. Deno reports a module that fails outside of its tests by the exit code only. */
function count(report: string, success: boolean): Counts {
  const total = report.match(/<testcase\b/g)?.length ?? 0;
  const skipped = report.match(/<skipped\b/g)?.length ?? 0;
  const failed = report.match(/<(?:failure|error)\b/g)?.length ?? 0;
  return { passed: total - skipped - failed, failed: success ? failed : Math.max(1, failed), skipped };
}

/** What the program under test and its children print may not change the counts: hence a report in a file. */
async function run(args: readonly string[]): Promise<Counts> {
  // Inside a namespace nothing can be fetched any more.
  await new Deno.Command(Deno.execPath(), { args: ["install", "--quiet"] }).output();
  // Nor can what another project asks the registry, which has no lock of ours.
  const alone = ["cache", "--quiet", "--no-config", "--no-lock", "stack/application/full.ts"];
  await new Deno.Command(Deno.execPath(), { args: alone }).output();
  const reportPath = await Deno.makeTempFile({ prefix: "tapstack-", suffix: ".xml" });
  try {
    const test = [Deno.execPath(), "test", "--allow-all", "--doc", `--junit-path=${reportPath}`, ...args];
    const [command, ...rest] = [...await namespacePrefix(), ...test];
    const { success } = await new Deno.Command(command!, { args: rest }).spawn().status;
    return count(await Deno.readTextFile(reportPath), success);
  } finally {
    await Deno.remove(reportPath);
  }
}

if (import.meta.main) {
  // Ctrl-C reaches `deno test` as well: it reports, and then this does.
  Deno.addSignalListener("SIGINT", () => {});
  const { passed, failed, skipped } = await run(Deno.args);
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  Deno.exit(failed === 0 ? 0 : 1);
}
