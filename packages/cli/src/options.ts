import { type Command, InvalidArgumentError, Option } from "commander";

/** Which records are meant. */
export interface QueryFlags {
  readonly where?: readonly string[];
  readonly fields?: readonly string[];
  readonly orderBy?: readonly string[];
  readonly limit?: number;
  readonly offset?: number;
  readonly native?: string;
}

/** How a transfer is run. */
export interface TransferFlags {
  readonly mode?: "upsert" | "insert" | "skip";
  readonly batchSize?: number | "auto";
  readonly concurrency?: number;
  readonly partitions?: number;
  readonly maxFailures?: string;
  readonly allowSameStore?: boolean;
  readonly maxRetries?: number;
  readonly transferTimeout?: number;
  readonly reconnectTimeout?: number;
  readonly transform?: string;
  readonly transferId?: string;
  readonly resume?: boolean;
  readonly stateDir?: string;
  /** `false` with `--no-dead-letter`. */
  readonly deadLetter?: string | boolean;
  readonly dryRun?: boolean;
  readonly sample?: number;
  readonly verify?: boolean;
}

/** How the stores are reached. */
export interface EndpointFlags {
  readonly config?: string;
  readonly connectionTimeout?: number;
}

/** What is printed. */
export interface OutputFlags {
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** Where the engine for many machines is. */
export interface EngineFlags {
  readonly redis?: string;
}

/** How progress is told. */
export interface ProgressFlags {
  readonly progressInterval?: number;
}

const SELECTION = "Which records:";
const TRANSFER = "How they go over:";
const SAFETY = "Safety:";
const STORES = "Stores:";
const MACHINES = "Many machines:";
const OUTPUT = "Output:";

export function withQuery(command: Command): Command {
  return command
    .addOption(
      new Option(
        "--where <condition>",
        "only records that meet it, such as type=knowledge or age>=3; repeat it for more",
      )
        .argParser(collect)
        .helpGroup(SELECTION),
    )
    .addOption(
      new Option("--fields <names>", "only these fields, separated by commas; id always comes along")
        .argParser(collectList)
        .helpGroup(SELECTION),
    )
    .addOption(
      new Option("--order-by <fields>", "order, such as created:desc,title")
        .argParser(collectList)
        .helpGroup(SELECTION),
    )
    .addOption(new Option("--limit <n>", "most records to read").argParser(wholeFrom(0)).helpGroup(SELECTION))
    .addOption(new Option("--offset <n>", "records to pass over first").argParser(wholeFrom(0)).helpGroup(SELECTION))
    .addOption(
      new Option(
        "--native <json>",
        'a query in the source\'s own language, such as \'{"sqlite":{"sql":"…"}}\'',
      ).helpGroup(SELECTION),
    );
}

export function withTransfer(command: Command): Command {
  return command
    .addOption(
      new Option("--mode <mode>", "what becomes of a record whose id is there already (default: upsert)")
        .choices(["upsert", "insert", "skip"])
        .helpGroup(TRANSFER),
    )
    .addOption(
      new Option("--transform <file>", "a module whose default export makes of each record what goes over").helpGroup(
        TRANSFER,
      ),
    )
    .addOption(
      new Option("--batch-size <n>", "records in a batch, or auto (default: 500)")
        .argParser(wholeOrAuto)
        .helpGroup(TRANSFER),
    )
    .addOption(
      new Option("--concurrency <n>", "batches written at a time (default: 4)")
        .argParser(wholeFrom(1))
        .helpGroup(TRANSFER),
    )
    .addOption(
      new Option("--partitions <n>", "parts of the query moved side by side (default: 1; 16 with --distributed)")
        .argParser(wholeFrom(1))
        .helpGroup(TRANSFER),
    )
    .addOption(
      new Option("--max-retries <n>", "how often a refusal for the moment is tried again (default: 3)")
        .argParser(wholeFrom(0))
        .helpGroup(TRANSFER),
    )
    .addOption(
      new Option("--transfer-timeout <time>", "stop after this time, such as 30s or 10m (default: never)")
        .argParser(duration)
        .helpGroup(TRANSFER),
    )
    .addOption(
      new Option("--reconnect-timeout <time>", "how long a store that went away is waited for (default: 60s)")
        .argParser(duration)
        .helpGroup(TRANSFER),
    )
    .addOption(
      new Option(
        "--dry-run",
        "read a sample, show what it would become and what would be lost; write nothing",
      ).helpGroup(SAFETY),
    )
    .addOption(
      new Option("--sample <n>", "records that a dry run reads (default: 100)")
        .argParser(wholeFrom(1))
        .helpGroup(SAFETY),
    )
    .addOption(new Option("--verify", "compare both sides afterwards").helpGroup(SAFETY))
    .addOption(
      new Option("--allow-same-store", "move the records of a store onto itself, which is refused otherwise").helpGroup(
        SAFETY,
      ),
    )
    .addOption(new Option("--resume", "go on where an interrupted run of the same command stopped").helpGroup(SAFETY))
    .addOption(
      new Option("--transfer-id <id>", "name of the transfer for --resume (default: made of what is copied)").helpGroup(
        SAFETY,
      ),
    )
    .addOption(
      new Option(
        "--state-dir <folder>",
        "where checkpoints and failed records are kept (default: .omni-p2p)",
      ).helpGroup(SAFETY),
    )
    .addOption(
      new Option(
        "--dead-letter <place>",
        "file or endpoint for the records that fail (default: a file in the state folder)",
      ).helpGroup(SAFETY),
    )
    .addOption(new Option("--no-dead-letter", "let the records that fail go").helpGroup(SAFETY))
    .addOption(
      new Option(
        "--max-failures <n>",
        "failures borne before it stops: none, all, a number or a share such as 1%",
      ).helpGroup(SAFETY),
    );
}

export function withStores(command: Command): Command {
  return command
    .addOption(
      new Option("--config <file>", "file with named endpoints (default: p2p.config.* here)").helpGroup(STORES),
    )
    .addOption(
      new Option("--connection-timeout <time>", "time in which a store must answer (default: 5s)")
        .argParser(duration)
        .helpGroup(STORES),
    );
}

/** Lets workers do the work. */
export function withDistribution(command: Command): Command {
  return withEngine(
    command.addOption(
      new Option("--distributed", "let workers do it (omni-p2p worker); endpoints are names that they know").helpGroup(
        MACHINES,
      ),
    ),
  );
}

export function withEngine(command: Command): Command {
  return command.addOption(
    new Option(
      "--redis <url>",
      "Redis of the engine for many machines (default: $P2P_ENGINE_REDIS, or redis://localhost:6379)",
    ).helpGroup(MACHINES),
  );
}

export function withProgress(command: Command): Command {
  return command.addOption(
    new Option("--progress-interval <time>", "how often progress is told (default: 250ms live, 1s JSON, 5s plain)")
      .argParser(duration)
      .helpGroup(OUTPUT),
  );
}

export function withOutput(command: Command): Command {
  return command
    .addOption(new Option("--json", "print JSON, one object a line").helpGroup(OUTPUT))
    .addOption(new Option("-q, --quiet", "print errors alone").helpGroup(OUTPUT))
    .helpOption("-h, --help", "show this help");
}

export function collect(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value];
}

/** Names separated by commas. */
function collectList(value: string, previous: readonly string[] = []): readonly string[] {
  const names = value.split(",").map((name) => name.trim());
  if (names.includes("")) throw new InvalidArgumentError("It has an empty name in it.");
  return [...previous, ...names];
}

export function wholeFrom(least: number): (value: string) => number {
  return (value) => {
    const number = /^\d+$/.test(value) ? Number(value) : Number.NaN;
    if (!Number.isSafeInteger(number) || number < least) {
      throw new InvalidArgumentError(`It must be a whole number from ${least} up.`);
    }
    return number;
  };
}

/** A whole number, or the word `auto`. */
function wholeOrAuto(value: string): number | "auto" {
  if (value === "auto") return value;
  if (/^0*[1-9]\d*$/.test(value)) return Number(value);
  throw new InvalidArgumentError('It must be "auto" or a whole number from 1 up.');
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** A time as people write it, in ms. */
export function duration(value: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(value);
  if (!match) throw new InvalidArgumentError('It must be a time such as "500ms", "30s", "10m" or "2h".');
  return Math.round(Number(match[1]) * UNITS[match[2] ?? "ms"]!);
}
