import { execFileSync } from "node:child_process";
import { chownSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isP2PError, type P2PError, type TransferOptions } from "@omni/p2p-core";
import type { Places } from "@omni/p2p-matrix/stores";
import type { TestService } from "@omni/p2p-test-services";
import { Client, escapeIdentifier, escapeLiteral } from "pg";
import { differences, fill, newManager } from "./data.ts";
import { check, type Report } from "./report.ts";

const RECORDS = 20_000;

/** Lets the disk of the target, of the checkpoint and of the dead letters run full, and makes room again. */
export async function fillDisks(report: Report, places: Places, services: readonly TestService[]): Promise<void> {
  const source = places.fresh("sqlite");
  await fill(source, RECORDS);
  await report.run("disk full: sqlite target", () =>
    onSmallDisk("4m", async (disk) => {
      const target = `sqlite:${join(disk.folder, "target.db")}?table=records`;
      const options = { transferId: "disk-full", checkpoint: places.folder };
      return fullThenResumed(disk, source, target, options);
    }),
  );
  const postgresql = services.find(({ kind }) => kind === "postgresql");
  if (postgresql?.pid === undefined) console.log("not run: disk full: postgresql target, since its server is not ours");
  else {
    await report.run("disk full: postgresql target", () =>
      onSmallDisk("4m", (disk) =>
        inTablespace(postgresql, disk.folder, () => {
          const options = { transferId: "disk-full-postgresql", checkpoint: places.folder };
          return fullThenResumed(disk, source, places.fresh("postgresql"), options);
        }),
      ),
    );
  }
  await report.run("disk full: checkpoint", () =>
    onSmallDisk("64k", async (disk) => {
      const state = join(disk.folder, "state");
      mkdirSync(state);
      disk.fillUp();
      return fullThenResumed(disk, source, places.fresh("sqlite"), {
        transferId: "disk-full-checkpoint",
        checkpoint: state,
      });
    }),
  );
  await report.run("disk full: dead letters", () =>
    onSmallDisk("256k", async (disk) => {
      const transform: TransferOptions["transform"] = (record) => {
        if (Number(record.number) % 2) throw new Error("odd records are refused here");
        return record;
      };
      const options: TransferOptions = {
        transferId: "disk-full-letters",
        checkpoint: places.folder,
        deadLetters: join(disk.folder, "letters.ndjson"),
        transform,
      };
      const target = places.fresh("sqlite");
      const first = await transfer(source, target, options);
      check(isP2PError(first, "DEAD_LETTER_FAILED"), `it ended with ${describe(first)}, not with DEAD_LETTER_FAILED`);
      disk.enlarge("64m");
      const second = await transfer(source, target, { ...options, resume: true });
      check(second === undefined, `it could not be resumed: ${describe(second)}`);
      return "DEAD_LETTER_FAILED, then resumed to the end";
    }),
  );
}

async function fullThenResumed(
  disk: SmallDisk,
  source: string,
  target: string,
  options: TransferOptions,
): Promise<string> {
  const first = await transfer(source, target, options);
  check(isP2PError(first, "STORAGE_FULL"), `it ended with ${describe(first)}, not with STORAGE_FULL`);
  disk.enlarge("256m");
  const second = await transfer(source, target, { ...options, resume: true });
  check(second === undefined, `it could not be resumed: ${describe(second)}`);
  const difference = await differences(source, target);
  check(difference === undefined, String(difference));
  return "STORAGE_FULL, then resumed, source and target equal";
}

async function transfer(source: string, target: string, options: TransferOptions): Promise<P2PError | undefined> {
  const manager = newManager();
  try {
    const { connectionId } = await manager.establish(source, target);
    await manager.transferThroughConnection(connectionId, {}, { maxFailures: "all", ...options });
    return undefined;
  } catch (error) {
    return error as P2PError;
  } finally {
    await manager.close();
  }
}

function describe(error: P2PError | undefined): string {
  return error ? `${error.code ?? error.name}: ${error.message}` : "success";
}

/** Lets a PostgreSQL server make its tables in the folder meanwhile; its log has all the room that it wants. */
async function inTablespace(server: TestService, folder: string, work: () => Promise<string>): Promise<string> {
  const location = join(folder, "tablespace");
  mkdirSync(location);
  const { uid, gid } = statSync(`/proc/${server.pid}`);
  chownSync(location, uid, gid);
  const client = new Client(server.url);
  await client.connect();
  const database = escapeIdentifier(client.database ?? "");
  try {
    await client.query(`CREATE TABLESPACE small LOCATION ${escapeLiteral(location)}`);
    await client.query(`ALTER DATABASE ${database} SET default_tablespace = small`);
    return await work();
  } finally {
    await client.query(`ALTER DATABASE ${database} RESET default_tablespace`);
    await client.end();
  }
}

/** A file system of a few kilobytes. */
interface SmallDisk {
  readonly folder: string;
  /** Takes the last byte. */
  fillUp(): void;
  enlarge(size: string): void;
}

/** Mounts a tmpfs of a size, for which one must be root. */
async function onSmallDisk(size: string, work: (disk: SmallDisk) => Promise<string>): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "omni-p2p-disk-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", folder], { stdio: "pipe" });
  try {
    return await work({
      folder,
      fillUp() {
        const chunk = Buffer.alloc(4096);
        for (let i = 0; ; i++) {
          try {
            writeFileSync(join(folder, `ballast-${i}`), chunk);
          } catch {
            return;
          }
        }
      },
      enlarge: (to) => void execFileSync("mount", ["-o", `remount,size=${to}`, folder], { stdio: "pipe" }),
    });
  } finally {
    execFileSync("umount", ["-l", folder], { stdio: "pipe" });
    rmSync(folder, { recursive: true, force: true });
  }
}
