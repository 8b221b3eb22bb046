import { assertEquals } from "@std/assert";
import { parseLcov, ranges } from "./lcov.ts";

Deno.test("parseLcov() counts what ran and names what did not", () => {
  const report = [
    "SF:/tree/task/take.ts",
    "FN:1,take",
    "DA:1,5",
    "DA:2,0",
    "DA:3,0",
    "DA:7,1",
    "BRDA:1,1,0,5",
    "BRDA:7,2,0,-",
    "BRDA:7,2,1,0",
    "end_of_record",
    "SF:/tree/mod.ts",
    "DA:1,1",
    "end_of_record",
    "",
  ].join("\n");
  assertEquals(parseLcov(report, "/tree"), [
    {
      file: "task/take.ts",
      lines: 4,
      linesRun: 2,
      branches: 3,
      branchesRun: 1,
      missed: [2, 3],
      untaken: [7],
    },
    { file: "mod.ts", lines: 1, linesRun: 1, branches: 0, branchesRun: 0, missed: [], untaken: [] },
  ]);
});

Deno.test("ranges() joins what follows one another", () => {
  assertEquals(ranges([]), "");
  assertEquals(ranges([3]), "3");
  assertEquals(ranges([1, 2, 3, 7, 9, 10]), "1–3, 7, 9–10");
});
