// What `deno coverage --lcov` says, read.

/** What was run of one file. */
export interface Coverage {
  readonly file: string;
  /** The numbers of lines with code, and of those that ran. */
  readonly lines: number;
  readonly linesRun: number;
  readonly branches: number;
  readonly branchesRun: number;
  /** The lines that never ran. */
  readonly missed: number[];
  /** The lines with a branch that was never taken. */
  readonly untaken: number[];
}

/** Reads a report; the names of files are those below `root`. */
export function parseLcov(text: string, root: string): Coverage[] {
  return text.split("end_of_record").map((part) => part.trim()).filter(Boolean).map((part) => {
    const rows = part.split("\n").map((row) => {
      const at = row.indexOf(":");
      return [row.slice(0, at), row.slice(at + 1)] as const;
    });
    const of = (kind: string) => rows.filter(([key]) => key === kind).map(([, value]) => value);
    const lines = of("DA").map((value) => value.split(",").map(Number));
    const branches = of("BRDA").map((value) => value.split(","));
    const isTaken = (count: string) => count !== "-" && count !== "0";
    return {
      file: of("SF")[0].replace(`${root}/`, ""),
      lines: lines.length,
      linesRun: lines.filter(([, count]) => count > 0).length,
      branches: branches.length,
      branchesRun: branches.filter((branch) => isTaken(branch[3])).length,
      missed: lines.filter(([, count]) => count === 0).map(([line]) => line),
      untaken: [
        ...new Set(branches.filter((branch) => !isTaken(branch[3])).map((branch) => +branch[0])),
      ],
    };
  });
}

/** Numbers as ranges: `3, 7–9`. */
export function ranges(numbers: readonly number[]): string {
  const parts: string[] = [];
  for (let i = 0; i < numbers.length; i++) {
    const from = numbers[i];
    while (numbers[i + 1] === numbers[i] + 1) i++;
    parts.push(from === numbers[i] ? `${from}` : `${from}–${numbers[i]}`);
  }
  return parts.join(", ");
}
