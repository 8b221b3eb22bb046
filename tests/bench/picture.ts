import type { Row } from "./row.ts";

const WIDTH = 860;
const NAMES = 260;
const LINE = 18;
/** The ratio at the right edge; a longer bar ends there, with its figure beside it. */
const MAX = 3;
const SCALE = (WIDTH - NAMES - 60) / MAX;

const COLOURS: Record<string, string> = { taskio: "#2f81f7", raw: "#8b949e" };
const OTHERS = "#c69026";

/**
 * Draws the ratios as bars: taskio, the bare API and the others in colours of their own. The text is dark
 * on light pages and light on dark ones.
 */
export function picture(rows: Row[]): string {
  const parts: string[] = [];
  let y = 46;
  let workload = "";
  for (const { arm, ratio, ...row } of rows) {
    if (ratio === undefined || arm === "again" || row.unit === "/s") continue; // of a rate, more is better
    if (row.workload !== workload) {
      workload = row.workload;
      y += 10 + LINE;
      parts.push(text(8, y - 6, workload, "b"));
    }
    const width = Math.min(ratio.median, MAX) * SCALE;
    const colour = COLOURS[arm.split(" ")[0]] ?? OTHERS;
    const place = `x="${NAMES}" y="${y + 3}" width="${width.toFixed(1)}" height="11" rx="2"`;
    parts.push(
      text(24, y + 12, arm),
      `<rect ${place} fill="${colour}"/>`,
      text(NAMES + width + 6, y + 12, ratio.median.toFixed(2)),
    );
    y += LINE;
  }
  const one = (NAMES + SCALE).toFixed(1);
  const size = `width="${WIDTH}" height="${y + 16}"`;
  const title = "Cost as a ratio to the first line of each block: less is better";
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${
    y + 16
  }" ${size} role="img">
<title>${title}</title>
<style>
text { font: 12px system-ui, sans-serif; fill: #1f2328; }
.b { font-weight: 600; }
line { stroke: #8b949e; stroke-dasharray: 3 3; }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3; } }
</style>
${text(8, 22, title, "b")}
<line x1="${one}" y1="36" x2="${one}" y2="${y + 4}"/>
${parts.join("\n")}
</svg>
`;
}

function text(x: number, y: number, content: string, style?: string): string {
  const attribute = style === undefined ? "" : ` class="${style}"`;
  const escaped = content.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `<text x="${x.toFixed(1)}" y="${y}"${attribute}>${escaped}</text>`;
}
