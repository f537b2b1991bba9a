import { Argument, Command } from "commander";
import manifest from "../package.json" with { type: "json" };
import type { ExitCode } from "./exit-code.ts";
import { CHANGES_ACTIONS, type ChangesAction, type ChangesFlags, withChangesFlags } from "./flags/changes.ts";
import { type CopyFlags, withCopyFlags } from "./flags/copy.ts";
import { type CountFlags, withCountFlags } from "./flags/count.ts";
import { type FollowFlags, withFollowFlags } from "./flags/follow.ts";
import { type InspectFlags, withInspectFlags } from "./flags/inspect.ts";
import { type MirrorFlags, withMirrorFlags } from "./flags/mirror.ts";
import { type OutputFlags, withOutput } from "./flags/output.ts";
import { type PingFlags, withPingFlags } from "./flags/ping.ts";
import { type ReplayFlags, withReplayFlags } from "./flags/replay.ts";
import { type RunFlags, withRunFlags } from "./flags/run.ts";
import { TRANSFERS_ACTIONS, type TransfersAction, type TransfersFlags, withTransfersFlags } from "./flags/transfers.ts";
import { type VerifyFlags, withVerifyFlags } from "./flags/verify.ts";
import { type WorkerFlags, withWorkerFlags } from "./flags/worker.ts";
import type { Session } from "./session/session.ts";

/** Runs a command's work, with what it needs around it. */
export type Execute = (options: OutputFlags, task: (session: Session) => Promise<ExitCode>) => Promise<void>;

const SOURCE = "where records come from: a URL such as sqlite:./data.db?table=docs, or a name from the config file";
const TARGET = "where they go: a URL such as redis://localhost:6379, or a name from the config file";
const ONE = "a URL such as redis://localhost:6379, or a name from the config file";

/**
 * The whole command line. Only names and descriptions are here: each command's code is loaded when it is called, so
 * that help and completion answer at once.
 */
export function buildProgram(execute: Execute): Command {
  const program = new Command("omni-p2p")
    .description("Move records between stores: SQLite, Redis, MongoDB, Elasticsearch, PostgreSQL, memory and your own.")
    .version(manifest.version, "-V, --version", "show the version")
    .helpOption("-h, --help", "show this help")
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .addHelpText("after", AFTER_HELP);
  addMoving(program, execute);
  addMachines(program, execute);
  addLooking(program, execute);
  addCompletion(program, execute);
  const help = new Command("help").argument("[command]").description("Show the help of a command");
  return program.addHelpCommand(help.helpGroup("Set-up:").helpOption("-h, --help", "show this help"));
}

function addMoving(program: Command, execute: Execute): void {
  const copy = program.command("copy").description("Copy records from one store to another");
  copy.argument("<source>", SOURCE).argument("<target>", TARGET).helpGroup("Moving records:");
  withCopyFlags(copy)
    .addHelpText("after", COPY_EXAMPLES)
    .action((source: string, target: string, flags: CopyFlags) =>
      execute(flags, async (session) =>
        (await import("./commands/copy.ts")).copyCommand({ source, target }, flags, session),
      ),
    );

  const mirror = program.command("mirror").description("Make the target what the source is, deletes included");
  mirror.argument("<source>", SOURCE).argument("<target>", TARGET).helpGroup("Moving records:");
  withMirrorFlags(mirror)
    .addHelpText("after", MIRROR_EXAMPLES)
    .action((source: string, target: string, flags: MirrorFlags) =>
      execute(flags, async (session) =>
        (await import("./commands/mirror.ts")).mirrorCommand({ source, target }, flags, session),
      ),
    );

  const follow = program.command("follow").description("Copy, and keep the target up to date until it is stopped");
  follow.argument("<source>", SOURCE).argument("<target>", TARGET).helpGroup("Moving records:");
  withFollowFlags(follow)
    .addHelpText("after", FOLLOW_EXAMPLES)
    .action((source: string, target: string, flags: FollowFlags) =>
      execute(flags, async (session) =>
        (await import("./commands/follow.ts")).followCommand({ source, target }, flags, session),
      ),
    );

  const replay = program
    .command("replay")
    .description("Send the records that failed once more, from their dead letters");
  replay.argument("<dead letters>", "the file of an earlier copy").argument("<target>", TARGET);
  replay.helpGroup("Moving records:");
  withReplayFlags(replay).action((file: string, target: string, flags: ReplayFlags) =>
    execute(flags, async (session) =>
      (await import("./commands/replay.ts")).replayCommand({ file, target }, flags, session),
    ),
  );

  const run = program.command("run").description("Run the transfers of a config file");
  run.argument("[file]", "p2p.config.ts, .js, .yaml or .json (default: the one here)").helpGroup("Moving records:");
  withRunFlags(run).action((file: string | undefined, flags: RunFlags) =>
    execute(flags, async (session) => (await import("./commands/run.ts")).runCommand(file, flags, session)),
  );
}

function addMachines(program: Command, execute: Execute): void {
  const worker = program.command("worker").description("Run partitions of distributed copies until it is stopped");
  withWorkerFlags(worker.helpGroup("Many machines:")).action((flags: WorkerFlags) =>
    execute(flags, async (session) => (await import("./commands/worker.ts")).workerCommand(flags, session)),
  );

  const transfers = program
    .command("transfers")
    .description("List, watch and steer distributed copies")
    .addArgument(new Argument("[action]", "what to do").choices(TRANSFERS_ACTIONS).default("list"))
    .argument("[id]", "the copy; with list, its partitions are shown");
  withTransfersFlags(transfers.helpGroup("Many machines:"))
    .addHelpText("after", TRANSFERS_EXAMPLES)
    .action((action: TransfersAction, id: string | undefined, flags: TransfersFlags) =>
      execute(flags, async (session) =>
        (await import("./commands/transfers.ts")).transfersCommand(action, id, flags, session),
      ),
    );
}

function addLooking(program: Command, execute: Execute): void {
  const verify = program.command("verify").description("Compare two stores record by record");
  verify.argument("<source>", SOURCE).argument("[target]", TARGET).helpGroup("Looking at stores:");
  withVerifyFlags(verify).action((source: string, target: string | undefined, flags: VerifyFlags) =>
    execute(flags, async (session) =>
      (await import("./commands/verify.ts")).verifyCommand({ source, target }, flags, session),
    ),
  );

  const ping = program.command("ping").description("See whether a store can be reached, and how fast it answers");
  withPingFlags(ping.argument("<endpoint>", ONE).helpGroup("Looking at stores:")).action(
    (endpoint: string, flags: PingFlags) =>
      execute(flags, async (session) => (await import("./commands/ping.ts")).pingCommand(endpoint, flags, session)),
  );

  const count = program.command("count").description("Count records");
  withCountFlags(count.argument("<endpoint>", ONE).helpGroup("Looking at stores:")).action(
    (endpoint: string, flags: CountFlags) =>
      execute(flags, async (session) => (await import("./commands/count.ts")).countCommand(endpoint, flags, session)),
  );

  const changes = program
    .command("changes")
    .description("Show, turn on or off what a store keeps of its changes, for those who follow it")
    .addArgument(new Argument("<action>", "what to do").choices(CHANGES_ACTIONS))
    .argument("<endpoint>", ONE);
  withChangesFlags(changes.helpGroup("Looking at stores:")).action(
    (action: ChangesAction, endpoint: string, flags: ChangesFlags) =>
      execute(flags, async (session) =>
        (await import("./commands/changes.ts")).changesCommand(action, endpoint, flags, session),
      ),
  );

  const inspect = program
    .command("inspect")
    .description("Show what is in a store: tables or collections, fields with their types, samples");
  withInspectFlags(inspect.argument("<endpoint>", ONE).helpGroup("Looking at stores:")).action(
    (endpoint: string, flags: InspectFlags) =>
      execute(flags, async (session) =>
        (await import("./commands/inspect.ts")).inspectCommand(endpoint, flags, session),
      ),
  );

  withOutput(
    program
      .command("starters")
      .description("Show the starters that are installed, with versions and options")
      .helpGroup("Looking at stores:"),
  ).action((flags: OutputFlags) =>
    execute(flags, async (session) => (await import("./commands/starters.ts")).startersCommand(session)),
  );
}

function addCompletion(program: Command, execute: Execute): void {
  program
    .command("completion")
    .description("Print a script that teaches your shell to complete this command")
    .addArgument(new Argument("<shell>", "your shell").choices(["bash", "zsh", "fish", "powershell"]))
    .helpGroup("Set-up:")
    .helpOption("-h, --help", "show this help")
    .addHelpText("after", COMPLETION_EXAMPLES)
    .action((shell: string) =>
      execute({}, async ({ out }) =>
        (await import("./completion/script.ts")).printCompletionScript(shell, (text) => out.data(text)),
      ),
    );
  program
    .command("complete", { hidden: true })
    .argument("[words...]")
    .action((words: readonly string[]) =>
      execute({}, async (session) =>
        (await import("./completion/answer.ts")).answerCompletion(program, words, session),
      ),
    );
}

const AFTER_HELP = `
Examples:
  omni-p2p copy 'sqlite:./knowledge.db?table=docs' redis://localhost:6379 --where type=knowledge
  omni-p2p copy 'sqlite:./a.db?table=docs' 'sqlite:./b.db?table=docs' --dry-run
  omni-p2p inspect sqlite:./knowledge.db

Passwords come from P2P_SOURCE_PASSWORD and P2P_TARGET_PASSWORD, from \${NAME} in an endpoint, or from a prompt.
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 some records failed, 4 not the same, 5 not at rest, 74 done, but its
report could not be written, 129 the terminal was closed, 130 interrupted by Ctrl-C, 141 the reader of the output went
away, 143 stopped by SIGTERM.`;

const COPY_EXAMPLES = `
Conditions: field=value  field!=value  field>3  field>=3  field<3  field<=3  field^=start  field=[a,b]
            field=* (is there)  field!=* (is absent or null)
Values:     text, 42, 9007199254740993, true, null, date:2024-01-31, bytes:<base64>, text:42 or '"42"' for text

Examples:
  omni-p2p copy 'sqlite:./knowledge.db?table=docs' elasticsearch://localhost:9200/docs --where 'version>=2' --verify
  omni-p2p copy mongodb://localhost/shop redis://localhost --transform ./map.ts --dead-letter ./failed.ndjson
  omni-p2p copy shop search --distributed --partitions 64`;

const MIRROR_EXAMPLES = `
One run: changes that come while it runs are brought by the next. Distributed mirrors come later.

Examples:
  omni-p2p mirror 'sqlite:./knowledge.db?table=docs' redis://localhost:6379 --deletes remove --dry-run
  omni-p2p mirror mongodb://localhost/shop elasticsearch://localhost:9200/shop --deletes remove --verify`;

const FOLLOW_EXAMPLES = `
The same command goes on where it was stopped. Some sources tell of their changes only after omni-p2p changes enable.

Examples:
  omni-p2p follow 'sqlite:./knowledge.db?table=docs' redis://localhost:6379
  omni-p2p follow mongodb://localhost/shop elasticsearch://localhost:9200/shop --reconcile-every 24h
  omni-p2p follow elasticsearch://localhost:9200/docs 'sqlite:./docs.db?table=docs' --every 5m`;

const TRANSFERS_EXAMPLES = `
Examples:
  omni-p2p transfers
  omni-p2p transfers watch shop-to-search-m1x2y3
  omni-p2p transfers failed shop-to-search-m1x2y3 > failed.ndjson`;

const COMPLETION_EXAMPLES = `
Examples:
  omni-p2p completion bash >> ~/.bashrc
  omni-p2p completion zsh > "\${fpath[1]}/_omni-p2p"
  omni-p2p completion fish > ~/.config/fish/completions/omni-p2p.fish`;
