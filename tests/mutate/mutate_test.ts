import { existsSync } from "node:fs";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { FILES, NEAREST, testsOf } from "./map.ts";
import { apply, mutantsOf } from "./mutants.ts";

const source = `// 1 < 2 is no code
export class Counter<T extends number> {
  #count: number = 0;
  readonly #limit: T | undefined;

  next(step: number = 1): boolean {
    if (this.#limit !== undefined && this.#count >= this.#limit) return false;
    if (isOdd(step)) throw new Error("1 + 1 === 2");
    this.#count += step;
    return /a+b/.test(\`\${step}\`) || !isOdd(0x10);
  }
}
`;

Deno.test("mutantsOf() changes operators, constants, conditions and statements, and nothing else", () => {
  assertEquals(mutantsOf(source).map(({ line, what }) => `${line}: ${what}`), [
    "3: 0 → 1",
    "6: 1 → 2",
    "7: !== → ===",
    "7: && → ||",
    "7: >= → >",
    "7: false → true",
    "8: (isOdd(step)) → (!(isOdd(step)))",
    "9: this.#count += step; → ;",
    "9: += → -=",
    "10: || → &&",
    "10: ! → nothing",
    "10: 0x10 → 0x11",
  ]);
});

Deno.test("apply() makes the one change that a mutant is", () => {
  for (const mutant of mutantsOf(source)) {
    const changed = apply(source, mutant);
    assert(changed !== source);
    const line = (text: string) => text.split("\n").toSpliced(mutant.line - 1, 1).join("\n");
    assertEquals(line(changed), line(source), "the other lines are as they were");
  }
});

Deno.test("the map names files and tests that are there", () => {
  const missing = (path: string) => !existsSync(path);
  const tests = Object.values(NEAREST).flat().map((test) => `tests/${test}_test.ts`);
  const names = Object.keys(NEAREST);
  // A key may leave `core/` out.
  const files = names.filter((name) =>
    missing(`${name}.ts`) && missing(`${name.replace("/", "/core/")}.ts`)
  );
  assertEquals([files, [...FILES, ...tests].filter(missing)], [[], []]);
  for (const file of FILES) assert(testsOf(file).length > 1, file);
});

Deno.test("mutate notices that a change of take() is noticed", async () => {
  const before = await Deno.readTextFile("task/take.ts");
  const line = before.split("\n").findIndex((text) => text.includes("RUNNING) return")) + 1;
  const args = ["run", "--allow-all", "tests/mutate/main.ts", "--quick", `--line=${line}`];
  const { stdout, code } = await new Deno.Command(Deno.execPath(), {
    args: [...args, "task/take.ts"],
    env: { NO_COLOR: "1" },
  }).output();
  assertEquals(code, 0);
  assertMatch(new TextDecoder().decode(stdout), /task\/take\.ts: 1 changes, 0 survived/);
  assertEquals(await Deno.readTextFile("task/take.ts"), before, "the tree itself is left alone");
});
