import type { Words } from "./page.ts";

/** The page's words in English. */
export const english: Words = {
  title: "Performance",
  other: "[简体中文](../zh/guide/performance.md)",
  bench: "../../bench",
  opening:
    "How near the library comes to the best loop that one can write by hand, and how far ahead it is of the usual one. The figures come from `npm run bench`; this page is written by it. Rates are this machine's; what carries over to other machines is the ratios.",
  none: "Nothing has been measured yet.",
  machine: "The machine",
  machineTable: ["what", "which"],
  machineRows: ["Processor", "Memory", "Node", "Servers", "Measured", "Rounds of each direction"],
  cores: (cores) => `${cores} cores`,
  elsewhere: (machine) =>
    `marks the directions that were measured on another machine: ${machine}. Their ratios compare with those of the others, their rates do not.`,
  sharing: "The servers run on the same machine, so that they, the clients and the library share its cores.",
  ferretdb:
    "FerretDB speaks MongoDB's protocol and keeps the data in SQLite: what is said of MongoDB here is said of it.",
  method: "The method",
  methodPoints: [
    "**Ours** is `establish`, `transferThroughConnection` and `close` with the default settings, for all records of the source into an empty place.",
    "**The best loop** is written by hand against the store's own client, with all that is known to help: keyset pages or cursors with the next page on its way, the largest useful command, several writes in flight, and field names written out in the code. It leaves the same in the target as ours does, but it cannot resume, count, retry, or tell which record failed. From a store to another of its kind it hands over what the client gave it without taking it apart. The loops are in [`bench/src/limits`](../../bench/src/limits/index.ts), one reader and one writer a store.",
    "**The usual loop** is what one finds in most projects: a page by OFFSET or cursor, one awaited write a record. It is stopped after two seconds, which spares it the later pages.",
    "**elasticdump** is the published tool, started as people start it, with the page size that suits it best. It copies an index to an index; for files it is set beside SQLite: index to file beside Elasticsearch to SQLite, file to index beside SQLite to Elasticsearch.",
    "All of them take turns in one process for each direction, after a round that does not count. Ratios are taken in each round, and the figure is the median of them.",
    "A direction is measured with 200,000 records, or with 100,000, 50,000 or 20,000 where a round would take more than twelve seconds. Growth is measured in fresh processes, with ten times as many records, or with five times or twice as many where that would take more than four minutes; what is over in half a minute is measured three times, and the figures are medians.",
    "Each direction may have been measured in a sitting of its own; the date and the commit of each are in [the results](../../bench/results/results.json).",
  ],
  shapes: {
    text: {
      heading: "Records with a text",
      about: "A paragraph of real Markdown with a few small fields, about 600 bytes.",
      chart: "Records with a text",
    },
    wide: {
      heading: "Records with 30 small fields",
      about: "Ten texts, fourteen numbers, four booleans and two dates, about 600 bytes as JSON.",
      chart: "Records with 30 small fields",
    },
  },
  speedTable: ["direction", "records", "records/s", "of the best loop", "× the usual loop", "× elasticdump"],
  growthIntro:
    "With more records in fresh processes: what a record then costs in time as a multiple, the peak memory of the whole process, which has loaded only what the direction needs, and how late a timer of 5 ms was, in 99 of 100 cases. A store in memory holds every record, in the source before the start and in the target as they come, so peaks and the work of the garbage collector grow with it by nature; there the figures of the best loop stand beside ours, in brackets. Peaks measured before 2026-11-28 (the results have the dates) are of processes that had loaded the clients of all stores, and up to 180 MB too high.",
  growthTable: ["direction", "records", "time per record", "peak MB", "timer late by, ms"],
  mirrors: "A mirror beside the copy and the comparison",
  mirrorsIntro:
    "What it takes to keep a target equal: a copy into an empty place, `verify` of both when they are equal, a [mirror](./mirror.md) when 1 % of the records is changed, 1 % missing and 1 % extra, and a mirror that has nothing to do, each with `establish`, and the best hand-written loop that reads a side; of the records with a text, by turns in one process. Medians of the ratios of the rounds; `node bench/src/mirrors.ts` measures them, and the times of each round are in [the results](../../bench/results/mirrors.json). A mirror reads both sides once to find that nothing differs, and once more where something does.",
  mirrorsTable: [
    "direction",
    "records",
    "verify / copy",
    "verify / slower reading loop",
    "mirror / verify",
    "mirror of nothing / verify",
    "mirror / copy",
  ],
  missed: "What is missed",
  missedIntro: (targets) => `The targets: ${targets}. These directions do not reach them:`,
  allReached: (targets) => `The targets: ${targets}. Every direction that was measured reaches them.`,
  targets: {
    bestLoop: "at least 0.9 of the best loop",
    usualLoop: "at least 10 times the usual loop where a network is written",
    elasticdump: "at least 3 times elasticdump from Elasticsearch to Elasticsearch",
    growth: "time per record at most 1.2 times as long with more records",
    memoryGrowth: "peak memory from SQLite to SQLite and to Redis at most 1.25 times as much",
    peakMemory: "peak memory from SQLite to Redis under 300 MB",
    timers: "timers less than 50 ms late in 99 of 100 cases",
  },
  missedTable: ["direction", "shape", "target", "measured", "why"],
  unexplained: "not yet known",
  profile: "profile",
  repeat: "How to repeat it",
  repeatPoints: [
    "The servers are started for the run: see [the test services](../../tools/test-services/README.md). A run of everything takes some hours; directions can be measured by themselves, and each takes the place of its own older figures in the results.",
    "A CPU profile of ours and of the best loop, to open in the developer tools of a browser, and a summary of each. They are of the whole process, so that those of a source in memory have its filling from SQLite too:",
  ],
};
