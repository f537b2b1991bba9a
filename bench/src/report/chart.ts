import type { Entry } from "../results.ts";
import { TARGETS } from "../targets.ts";

const WIDTH = 760;
const LEFT = 230;
const BARS = 310;
const ROW = 20;
const GROUP_GAP = 10;
const HEAD = 62;

/** The share of the best loop at the right end of the bars. */
const FULL = 1.25;

const WANTED = TARGETS.find(({ name }) => name === "bestLoop")!.bound;

const STYLE = `
  .paper { fill: #ffffff } .ink { fill: #1f2328 } .faint { fill: #59636e } .track { fill: #eff2f5 }
  .bar { fill: #2f6fde } .missed { fill: #c4621d } .line { stroke: #59636e; stroke-width: 1; stroke-dasharray: 3 3 }
  text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif } .title { font-size: 15px; font-weight: 600 }
  .figure { font-variant-numeric: tabular-nums; text-anchor: end }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #14161a } .ink { fill: #e6e9ed } .faint { fill: #98a2ad } .track { fill: #22262c }
    .bar { fill: #5b93f5 } .missed { fill: #e08a4a } .line { stroke: #98a2ad }
  }`;

/** A chart of how near each direction comes to the best loop, as SVG that is readable on light and on dark ground. */
export function chart(title: string, entries: readonly Entry[]): string {
  const parts: string[] = [];
  let y = HEAD;
  let source: string | undefined;
  for (const entry of entries) {
    const [from] = entry.direction.split(" -> ");
    if (source !== undefined && from !== source) y += GROUP_GAP;
    source = from;
    parts.push(row(entry, y));
    y += ROW;
  }
  const bottom = y + 4;
  const height = y + 28;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${title}">
<style>${STYLE}
</style>
<rect class="paper" width="${WIDTH}" height="${height}" rx="6"/>
<text class="ink title" x="16" y="26">${title}</text>
<text class="faint" x="16" y="48">direction</text>
<text class="faint" x="${LEFT}" y="48">share of the best hand-written loop</text>
<text class="faint figure" x="${WIDTH - 96}" y="48">records/s</text>
<text class="faint figure" x="${WIDTH - 16}" y="48">× usual</text>
${parts.join("\n")}
${[WANTED, 1].map((share) => mark(share, bottom)).join("\n")}
</svg>
`;
}

function row({ direction, ofLimit, recordsPerSecond, timesUsual }: Entry, y: number): string {
  const width = (Math.min(ofLimit, FULL) / FULL) * BARS;
  const middle = y + 13;
  return [
    `<text class="ink" x="16" y="${middle}">${direction.replace("->", "→")}</text>`,
    `<rect class="track" x="${LEFT}" y="${y + 2}" width="${BARS}" height="${ROW - 6}" rx="3"/>`,
    `<rect class="${ofLimit >= WANTED ? "bar" : "missed"}" x="${LEFT}" y="${y + 2}" width="${width.toFixed(1)}" height="${ROW - 6}" rx="3"/>`,
    `<text class="ink figure" x="${LEFT + BARS + 38}" y="${middle}">${ofLimit.toFixed(2)}</text>`,
    `<text class="ink figure" x="${WIDTH - 96}" y="${middle}">${recordsPerSecond.toLocaleString("en")}</text>`,
    `<text class="ink figure" x="${WIDTH - 16}" y="${middle}">${timesUsual.toFixed(timesUsual < 10 ? 1 : 0)}</text>`,
  ].join("\n");
}

function mark(share: number, bottom: number): string {
  const x = (LEFT + (share / FULL) * BARS).toFixed(1);
  const anchor = share < 1 ? "end" : "start";
  return `<line class="line" x1="${x}" y1="${HEAD - 4}" x2="${x}" y2="${bottom}"/>
<text class="faint" x="${x}" y="${bottom + 14}" text-anchor="${anchor}">${share}</text>`;
}
