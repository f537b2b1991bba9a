import type { MirrorEntry } from "../mirror-results.ts";
import { profileName } from "../profile-summary.ts";
import type { Entry, Machine, Results } from "../results.ts";
import { SHAPE_NAMES, type ShapeName } from "../shapes.ts";
import { type Miss, missesOf, type Reason, reasonOf, TARGETS, type TargetName } from "../targets.ts";

/** What the page says, in one language. */
export interface Words {
  readonly title: string;
  /** Link to the page in the other language. */
  readonly other: string;
  /** The way from the page to the folder of the bench. */
  readonly bench: string;
  readonly opening: string;
  readonly none: string;
  readonly machine: string;
  readonly machineTable: readonly string[];
  readonly machineRows: readonly [string, string, string, string, string, string];
  readonly cores: (cores: number) => string;
  /** Said of the directions with a mark, which were measured on another machine. */
  readonly elsewhere: (machine: string) => string;
  readonly sharing: string;
  readonly ferretdb: string;
  readonly method: string;
  readonly methodPoints: readonly string[];
  readonly shapes: Readonly<
    Record<ShapeName, { readonly heading: string; readonly about: string; readonly chart: string }>
  >;
  readonly speedTable: readonly string[];
  readonly growthIntro: string;
  readonly growthTable: readonly string[];
  readonly mirrors: string;
  readonly mirrorsIntro: string;
  readonly mirrorsTable: readonly string[];
  readonly missed: string;
  readonly missedIntro: (targets: string) => string;
  readonly allReached: (targets: string) => string;
  readonly targets: Readonly<Record<TargetName, string>>;
  readonly missedTable: readonly string[];
  readonly unexplained: string;
  readonly profile: string;
  readonly repeat: string;
  readonly repeatPoints: readonly [string, string];
}

/** What is known of the targets that are missed. */
export interface Explanations {
  readonly reasons: readonly Reason[];
  /** The summaries of profiles in `results/profiles`. */
  readonly profiles: ReadonlySet<string>;
}

/** The page of the documents about what was measured. */
export function page(
  { machine, entries }: Results,
  { reasons, profiles }: Explanations,
  words: Words,
  language: "en" | "zh",
  mirrors: readonly MirrorEntry[],
): string {
  const dates = entries.map(({ date }) => date.slice(0, 10)).toSorted();
  const measured = [...new Set([dates[0], dates.at(-1)])].join(" – ");
  const servers = [...new Set(entries.flatMap((entry) => entry.servers))].toSorted().join(", ");
  const rounds = [...new Set(entries.map(({ ours }) => ours.length))].toSorted((a, b) => a - b).join(", ");
  const [processor, memory, node, serversRow, measuredRow, roundsRow] = words.machineRows;
  return `${[
    `# ${words.title}`,
    words.other,
    "<!-- Written by `node bench/src/report/write.ts` from bench/results: changes belong there. -->",
    words.opening,
    `## ${words.machine}`,
    table(words.machineTable, [
      [processor, `${machine.cpu}, ${words.cores(machine.cores)}`],
      [memory, `${machine.memoryGb} GB`],
      [node, machine.node.replace(/^v/, "")],
      [serversRow, servers],
      [measuredRow, measured],
      [roundsRow, rounds],
    ]),
    ...machinesElsewhere(entries).map(
      ([mark, other]) =>
        `${mark} ${words.elsewhere(`${other.cpu}, ${words.cores(other.cores)}, ${other.memoryGb} GB, Node ${other.node.replace(/^v/, "")}`)}`,
    ),
    words.sharing,
    ...(servers.includes("FerretDB") ? [words.ferretdb] : []),
    `## ${words.method}`,
    words.methodPoints.map((point) => `- ${point}`).join("\n"),
    ...SHAPE_NAMES.flatMap((shape) =>
      shapeSection(
        shape,
        entries.filter((entry) => entry.shape === shape),
        words,
        marksOf(entries),
      ),
    ),
    ...(mirrors.length > 0
      ? [`## ${words.mirrors}`, words.mirrorsIntro, table(words.mirrorsTable, mirrors.map(mirrorRow))]
      : []),
    `## ${words.missed}`,
    ...(entries.length === 0 ? [words.none] : missedSection(missesOf(entries), { reasons, profiles }, words, language)),
    `## ${words.repeat}`,
    fence("npm run bench\nnpm run bench -- --only 'sqlite -> redis' --shape text"),
    words.repeatPoints[0],
    words.repeatPoints[1],
    fence("npm run bench -- --only 'sqlite -> redis' --shape text --profile profiles"),
  ].join("\n\n")}\n`;
}

/** The other machines of the entries, each with its mark. */
function machinesElsewhere(entries: readonly Entry[]): (readonly [mark: string, machine: Machine])[] {
  const machines = new Map<string, Machine>();
  for (const { machine } of entries) if (machine !== undefined) machines.set(JSON.stringify(machine), machine);
  return [...machines.values()].map((machine, at) => ["\\*".repeat(at + 1), machine] as const);
}

/** What stands behind the direction of an entry. */
type MarkOf = (entry: Entry) => string;

function marksOf(entries: readonly Entry[]): MarkOf {
  const marks = new Map(machinesElsewhere(entries).map(([mark, machine]) => [JSON.stringify(machine), mark]));
  return ({ machine }) => (machine === undefined ? "" : ` ${marks.get(JSON.stringify(machine))}`);
}

function shapeSection(shape: ShapeName, entries: readonly Entry[], words: Words, markOf: MarkOf): string[] {
  const { heading, about, chart } = words.shapes[shape];
  if (entries.length === 0) return [`## ${heading}`, about, words.none];
  const grown = entries.filter(({ growth }) => growth !== undefined);
  return [
    `## ${heading}`,
    about,
    `![${chart}](${words.bench}/results/${shape}.svg)`,
    table(
      words.speedTable,
      entries.map((entry) => speedRow(entry, markOf)),
    ),
    ...(grown.length > 0
      ? [
          words.growthIntro,
          table(
            words.growthTable,
            grown.map((entry) => growthRow(entry, markOf)),
          ),
        ]
      : []),
  ];
}

function speedRow(entry: Entry, markOf: MarkOf): string[] {
  const { direction, records, recordsPerSecond, ofLimit, timesUsual, timesElasticdump, elasticdump } = entry;
  return [
    arrow(direction) + markOf(entry),
    count(records),
    count(recordsPerSecond),
    ofLimit.toFixed(2),
    timesUsual.toFixed(1),
    timesElasticdump === undefined ? "" : `${timesElasticdump.toFixed(1)} (${elasticdump!.what})`,
  ];
}

function mirrorRow({ direction, records, ...ratios }: MirrorEntry): string[] {
  const { verifyOfCopy, verifyOfRead, ofVerify, ofCopy, againOfVerify } = ratios;
  return [
    arrow(direction),
    count(records),
    ...[verifyOfCopy, verifyOfRead, ofVerify, againOfVerify, ofCopy].map((one) => one?.toFixed(2) ?? ""),
  ];
}

function growthRow(entry: Entry, markOf: MarkOf): string[] {
  const { direction, growth } = entry;
  const { records, factor, timePerRecord, peakMb, peakMbGrown, timerP99, limit } = growth!;
  const beside = (figure: string | undefined) => (figure === undefined ? "" : ` (${figure})`);
  return [
    arrow(direction) + markOf(entry),
    `${count(records)} → ${count(records * factor)}`,
    timePerRecord.toFixed(2) + beside(limit?.timePerRecord.toFixed(2)),
    `${count(Math.round(peakMb))} → ${count(Math.round(peakMbGrown))}${beside(limit && count(Math.round(limit.peakMbGrown)))}`,
    timerP99.toFixed(0) + beside(limit?.timerP99.toFixed(0)),
  ];
}

function missedSection(
  misses: readonly Miss[],
  { reasons, profiles }: Explanations,
  words: Words,
  language: "en" | "zh",
): string[] {
  const separator = language === "zh" ? "；" : "; ";
  const targets = TARGETS.map(({ name }) => words.targets[name]).join(separator);
  if (misses.length === 0) return [words.allReached(targets)];
  const rows = misses.map((miss) => {
    const reason = reasonOf(miss, reasons);
    const { entry, target, figure } = miss;
    const why = reason === undefined ? words.unexplained : ((language === "zh" ? reason.zh : undefined) ?? reason.en);
    const measured = figure.toFixed(figure < 10 ? 2 : 0);
    const profile = `${profileName("ours", entry.direction, entry.shape)}.txt`;
    const seen = profiles.has(profile) ? ` [${words.profile}](${words.bench}/results/profiles/${profile})` : "";
    return [arrow(entry.direction), entry.shape, words.targets[target.name], measured, why + seen];
  });
  return [words.missedIntro(targets), table(words.missedTable, rows)];
}

function arrow(direction: string): string {
  return direction.replace("->", "→");
}

function count(value: number): string {
  return value.toLocaleString("en");
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

function fence(code: string): string {
  return `\`\`\`sh\n${code}\n\`\`\``;
}
