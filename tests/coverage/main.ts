/**
 * `deno task coverage [TESTS…] [--lines 97] [--branches 93]`: runs the tests, all of them by default, and
 * tells how much of the published code ran, and which lines did not. It fails if less ran than it should.
 */
import { parseArgs } from "@std/cli";
import { type Coverage, parseLcov, ranges } from "./lcov.ts";

const args = parseArgs(Deno.args, { string: ["lines", "branches"] });
const tests = args._.length > 0 ? args._.map(String) : ["tests"];
const folder = await Deno.makeTempDir({ prefix: "taskio_coverage_" });
let good = true;
try {
  // Programs that the tests run write what they ran into the same folder.
  good = await run(["test", "--allow-all", "--quiet", `--coverage=${folder}`, ...tests], {
    DENO_COVERAGE_DIR: folder,
  });
  const output = `${folder}/lcov.info`;
  const published = `--include=^file://${Deno.cwd()}/(mod\\.ts|(task|socket|tls)/)`;
  await run(["coverage", "--lcov", `--output=${output}`, published, folder], {});
  good = report(parseLcov(await Deno.readTextFile(output), Deno.cwd())) && good;
} finally {
  await Deno.remove(folder, { recursive: true });
}
if (!good) Deno.exit(1);

/** Prints the table; whether enough ran. */
function report(files: Coverage[]): boolean {
  files.sort((a, b) => a.file < b.file ? -1 : 1);
  for (const file of files) {
    if (file.missed.length + file.untaken.length === 0) continue;
    const lines = percent(file.linesRun, file.lines);
    const branches = percent(file.branchesRun, file.branches);
    console.log(`${file.file}: ${lines} of its lines, ${branches} of its branches`);
    if (file.missed.length > 0) console.log(`  lines ${ranges(file.missed)}`);
    const only = file.untaken.filter((line) => !file.missed.includes(line));
    if (only.length > 0) console.log(`  one way at ${ranges(only)}`);
  }
  const sum = (of: (file: Coverage) => number) => files.reduce((sum, file) => sum + of(file), 0);
  const rows = [
    ["lines", sum((file) => file.linesRun), sum((file) => file.lines), Number(args.lines ?? 97)],
    [
      "branches",
      sum((file) => file.branchesRun),
      sum((file) => file.branches),
      Number(args.branches ?? 93),
    ],
  ] as const;
  for (const [what, ran, all, least] of rows) {
    console.log(`${percent(ran, all)} of ${all} ${what} ran, ${least} % should`);
  }
  return rows.every(([, ran, all, least]) => ran * 100 >= least * all);
}

function percent(part: number, all: number): string {
  return all === 0 ? "100 %" : `${(Math.floor(part * 1000 / all) / 10).toFixed(1)} %`;
}

async function run(args: string[], env: Record<string, string>): Promise<boolean> {
  const command = new Deno.Command(Deno.execPath(), { args, env, stdin: "null" });
  return (await command.spawn().status).success;
}
