import { appendFile, mkdtemp, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type DeadLetter, P2PError, parseEndpoint } from "../../src/index.ts";
import { letterLine, MAX_LETTER_BYTES } from "../../src/transfer/dead-letters/dead-letter.ts";
import { deadLetterStarter } from "../../src/transfer/dead-letters/dead-letter-source.ts";
import { temporaryFolder } from "../support/folder.ts";

const root = temporaryFolder();

const letter = (id: string, note = ""): DeadLetter => ({
  transferId: "t",
  id,
  phase: "write",
  code: "WRITE_FAILED",
  reason: "no",
  attempts: 1,
  position: 0,
  at: "2026-01-01T00:00:00.000Z",
  record: { id, note },
});

async function read(file: string) {
  const { signal } = new AbortController();
  const service = await deadLetterStarter.open(parseEndpoint(`dead-letters:${file}`), {
    role: "source",
  } as Parameters<typeof deadLetterStarter.open>[1]);
  const ids: unknown[] = [];
  const failures: string[] = [];
  for await (const batch of service.readFromSource({}, { batchSize: 10, signal })) {
    ids.push(...batch.records.map(({ id }) => id));
    failures.push(...(batch.failures ?? []).map(({ error }) => error.message));
  }
  return { ids, failures };
}

describe("a line of dead letters", () => {
  it("that is longer than the limit is a counted failure, of which nothing is held, and the rest is read", async () => {
    const file = join(await mkdtemp(join(root, "long-")), "failed.ndjson");
    await writeFile(file, letterLine(letter("a")));
    await truncate(file, MAX_LETTER_BYTES * 2);
    await appendFile(file, Buffer.concat([Buffer.from("\n"), letterLine(letter("b", "é".repeat(300_000)))]));
    const before = process.memoryUsage().rss;
    const { ids, failures } = await read(file);
    expect(ids).toEqual(["a", "b"]);
    expect(failures).toEqual([expect.stringMatching(/is no dead letter: it is longer than 268435456 bytes/)]);
    expect(process.memoryUsage().rss - before).toBeLessThan(MAX_LETTER_BYTES * 2);
  }, 60_000);

  it("that is broken is a counted failure whose reason does not quote it", async () => {
    const file = join(await mkdtemp(join(root, "broken-")), "failed.ndjson");
    await writeFile(file, Buffer.concat([Buffer.from("hunter2\n"), letterLine(letter("a"))]));
    const { ids, failures } = await read(file);
    expect(ids).toEqual(["a"]);
    expect(failures).toEqual([expect.stringMatching(/it is not JSON$/)]);
  });

  it("is written without a record that would make it too long to be read, and says so", () => {
    const whole = letterLine(letter("a", "x".repeat(100)));
    expect(letterLine(letter("a", "x".repeat(100)), whole.length - 1)).toEqual(whole);
    const short = JSON.parse(String(letterLine(letter("a", "x".repeat(100)), whole.length - 2))) as DeadLetter;
    expect(short).toMatchObject({ transferId: "t", id: "a", phase: "write", code: "WRITE_FAILED" });
    expect(short.record).toBeUndefined();
    expect(short.reason).toMatch(/^no \(the record is longer than the \d+ bytes/);
  });

  it("keeps errors of a record's own apart from those of its length", () => {
    const record = {
      id: "a",
      get note(): string {
        throw new P2PError("INVALID_RECORD", "no");
      },
    };
    expect(String(letterLine({ ...letter("a"), record: { id: "a" } }))).toContain('"record":{"id":"a"}');
    expect(() => letterLine({ ...letter("a"), record })).toThrow(P2PError);
  });
});
