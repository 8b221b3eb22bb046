// Small changes of a program, each of which some test should notice.

import { stripTypeScriptTypes } from "node:module";

/** One change: `text` in place of what stands there. */
export interface Mutant {
  readonly at: number;
  readonly length: number;
  readonly text: string;
  /** The line it is in, from 1. */
  readonly line: number;
  /** What is changed into what, for the list. */
  readonly what: string;
}

/** What stands in place of each operator. */
const OPERATORS: Record<string, string> = {
  "===": "!==",
  "!==": "===",
  "<": "<=",
  "<=": "<",
  ">": ">=",
  ">=": ">",
  "&&": "||",
  "||": "&&",
  "??": "&&",
  "+": "-",
  "-": "+",
  "*": "/",
  "/": "*",
  "%": "*",
  "&": "|",
  "|": "&",
  "^": "&",
  "<<": ">>",
  ">>": "<<",
  ">>>": "<<",
  "+=": "-=",
  "-=": "+=",
};

/** Every change of a file, in the order of its lines. */
export function mutantsOf(source: string): Mutant[] {
  const code = blank(withoutTypes(source));
  const mutants: Mutant[] = [];
  const add = (at: number, length: number, text: string) => {
    const line = source.slice(0, at).split("\n").length;
    const old = source.slice(at, at + length).replace(/\s+/g, " ");
    const what = `${shorten(old)} → ${text === "" ? "nothing" : shorten(text)}`;
    mutants.push({ at, length, text, line, what });
  };
  // The formatter puts spaces around an operator, or the end of the line behind it.
  for (const { index, 1: operator } of code.matchAll(/(?<=\s)([-+*/%&|^<>=!?]{1,3})(?=\s)/g)) {
    if (code.startsWith("* from", index) || code.startsWith("* as", index)) continue;
    if (operator in OPERATORS) add(index, operator.length, OPERATORS[operator]);
  }
  for (const { index, 0: sign } of code.matchAll(/\+\+|--/g)) {
    add(index, 2, sign === "++" ? "--" : "++");
  }
  for (const { index } of code.matchAll(/!(?=[\w#(])/g)) add(index, 1, "");
  for (const { index, 0: word } of code.matchAll(/(?<![\w.#])(true|false)(?![\w:])/g)) {
    add(index, word.length, word === "true" ? "false" : "true");
  }
  for (const { index, 0: number } of code.matchAll(/(?<![\w.#$])\d[\d_]*(?![\w.])/g)) {
    add(index, number.length, String(Number(number.replaceAll("_", "")) + 1));
  }
  for (const { index, 0: hex } of code.matchAll(/(?<![\w.#$])0x[\da-f]+/gi)) {
    add(index, hex.length, `0x${(Number(hex) + 1).toString(16)}`);
  }
  for (const { index, 0: found } of source.matchAll(/"[A-Z][A-Z\d_]{2,}"/g)) {
    if (code.startsWith(`"${" ".repeat(found.length - 2)}"`, index)) {
      add(index, found.length, '"X"');
    }
  }
  for (const { index } of code.matchAll(/(?<![\w.#])if \(/g)) {
    const from = index + 3;
    const to = endOf(code, from);
    // Where there is one operator, or a `!`, to change it comes to the same.
    if (/!|[<>]|===|&&|\|\|/.test(code.slice(from, to))) continue;
    add(from, to - from, `(!${source.slice(from, to)})`);
  }
  for (const { index, 0: statement } of code.matchAll(STATEMENT)) {
    const start = source.lastIndexOf("\n", index) + 1;
    // A field of a class is a declaration.
    if (/^ {2}((readonly|protected|private|override) )*(#|\w+[?!]?:)/.test(source.slice(start))) {
      continue;
    }
    if (isBalanced(statement)) add(index, statement.length, ";");
  }
  return mutants.sort((a, b) => a.at - b.at);
}

/** A line that is one statement: a call, an assignment, a jump, and no declaration. */
const STATEMENT =
  /(?<=^ {2,}|\) |else )(?!(?:return|throw|const|let|import|export|if|else|for|while|do|try|case|default|readonly|static|abstract|override|get|set|declare)\b)(?:[\w#(.?\]["]+.*;|continue;|break;)(?=$)/gm;

/** The text without its types, every other character in its place. */
function withoutTypes(source: string): string {
  try {
    return stripTypeScriptTypes(source);
  } catch {
    return source; // a parameter property: there are types in it, of which changes mean nothing
  }
}

/** The code with its comments, strings, templates and regular expressions blanked out. */
function blank(code: string): string {
  const token =
    /\/\*[^]*?\*\/|\/\/.*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`|(?<=[(,=:[!&|?{;]\s*|return )\/(?![/*])(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/g;
  return code.replace(token, (text) => {
    if (text.startsWith('"')) return `"${" ".repeat(text.length - 2)}"`;
    return text.replace(/[^\n]/g, " ");
  });
}

/** Behind the parenthesis that closes the one that opens here. */
function endOf(code: string, from: number): number {
  let depth = 0;
  for (let at = from; at < code.length; at++) {
    if (code[at] === "(") depth++;
    else if (code[at] === ")" && --depth === 0) return at + 1;
  }
  throw new Error(`No end of the parenthesis at ${from}`);
}

function isBalanced(statement: string): boolean {
  let depth = 0;
  for (const character of statement) {
    if ("([{".includes(character)) depth++;
    else if (")]}".includes(character) && --depth < 0) return false;
  }
  return depth === 0;
}

function shorten(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 59)}…`;
}

/** The file as a mutant has it. */
export function apply(source: string, { at, length, text }: Mutant): string {
  return source.slice(0, at) + text + source.slice(at + length);
}
