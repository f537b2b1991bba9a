import * as v from "valibot";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { MemoryCheckpointStore, type P2PRecord, type StandardSchemaV1, type TransferOptions } from "../../src/index.ts";
import { managed, NO_LETTERS } from "../support/scripted-starter.ts";
import { records, ScriptedStore } from "../support/scripted-store.ts";
import { expectNoUnhandledRejections, LetterBox, transfer } from "../support/transferring.ts";

expectNoUnhandledRejections();

async function through(options: TransferOptions<never>, list: readonly P2PRecord[]) {
  const target = new ScriptedStore();
  const box = new LetterBox();
  const result = await transfer(new ScriptedStore(list), target, {
    deadLetters: box,
    ...(options as unknown as TransferOptions),
  });
  return { result, letters: box.letters, written: target.sent.flat() };
}

const LIST: readonly P2PRecord[] = [
  { id: "a", title: " A ", tags: ["x"] },
  { id: "b", title: 5, tags: ["x", 7] },
  { id: "c", title: "C" },
];

const withZod = z.looseObject({
  id: z.string(),
  title: z.string().trim(),
  tags: z.array(z.string()).default([]),
});
const withValibot = v.looseObject({
  id: v.string(),
  title: v.pipe(v.string(), v.trim()),
  tags: v.optional(v.array(v.string()), []),
});
const laterZod = withZod.refine(async () => true);
const laterValibot = v.pipeAsync(
  withValibot,
  v.checkAsync(async () => true),
);

describe.each<[string, StandardSchemaV1]>([
  ["zod", withZod],
  ["valibot", withValibot],
  ["an asynchronous one of zod", laterZod],
  ["an asynchronous one of valibot", laterValibot],
])("a schema of %s", (name, schema) => {
  it("gives what it makes of a record, and makes what it refuses a dead letter", async () => {
    const { result, letters, written } = await through({ schema: schema as never }, LIST);
    expect(written).toEqual([
      { id: "a", title: "A", tags: ["x"] },
      { id: "c", title: "C", tags: [] },
    ]);
    expect(result).toMatchObject({ totalRecords: 3, successCount: 2, failureCount: 1 });
    expect(letters).toMatchObject([
      { id: "b", phase: "transform", code: "VALIDATION_FAILED", attempts: 0, position: 1, record: LIST[1] },
    ]);
    const vendor = name.split(" ").at(-1);
    expect(letters[0]!.reason).toMatch(
      new RegExp(`^Record "b" does not meet the schema \\(${vendor}\\): title: .*string.*; tags\\[1\\]: .*string`),
    );
  });

  it("comes before the transform, which sees what it made", async () => {
    const transform = (doc: { id: string; title: string }) => ({ ...doc, title: doc.title.toUpperCase() });
    const { written, letters } = await through({ schema, transform } as never, [{ id: "a", title: " b " }, LIST[1]!]);
    expect(written).toEqual([{ id: "a", title: "B", tags: [] }]);
    expect(letters).toHaveLength(1);
  });
});

const standard = (validate: (value: unknown) => unknown): StandardSchemaV1 =>
  ({ "~standard": { version: 1, vendor: "own", validate } }) as StandardSchemaV1;

describe("a schema", () => {
  it.each<[string, StandardSchemaV1, string, RegExp]>([
    [
      "throws",
      standard(() => {
        throw new Error("boom");
      }),
      "VALIDATION_FAILED",
      /^The schema failed on record "r00000": boom$/,
    ],
    [
      "rejects",
      standard(() => Promise.reject(new Error("boom"))),
      "VALIDATION_FAILED",
      /^The schema failed on record "r00000": boom$/,
    ],
    [
      "drops the id",
      z.object({ at: z.number() }),
      "INVALID_RECORD",
      /the schema made this of it: the record has no id/,
    ],
    ["gives no reason", standard(() => ({ issues: [] })), "VALIDATION_FAILED", /: it gives no reason$/],
    [
      "has many issues and odd paths",
      standard(() => ({
        issues: Array.from({ length: 8 }, (_, at) => ({ message: "no", path: ["a", { key: at }, Symbol("s")] })),
      })),
      "VALIDATION_FAILED",
      /: a\[0\]\.Symbol\(s\): no; .*; and 3 more$/,
    ],
    ["never settles", standard(() => new Promise(() => {})), "TRANSFORM_FAILED", /transformTimeout of 30 ms$/],
  ])("that %s makes the record a failure", async (_, schema, code, reason) => {
    const { result, letters } = await through({ schema, transformTimeout: 30 } as never, records(1));
    expect(result).toMatchObject({ totalRecords: 1, failureCount: 1 });
    expect(letters).toMatchObject([{ code, phase: "transform", record: { id: "r00000", at: 0 } }]);
    expect(letters[0]!.reason).toMatch(reason);
  });

  it.each<[string, object]>([
    ["a schema that is none", { schema: { parse: () => true } }],
    ["null", { schema: null }],
    ["a transformTimeout below 0", { transformTimeout: -1 }],
  ])("is refused: %s", async (_, options) => {
    await expect(through(options as never, [])).rejects.toMatchObject({ code: "INVALID_CONFIG" });
  });

  it("belongs to the checkpoint, as a transform does", async () => {
    const options = { transferId: "t", checkpoint: new MemoryCheckpointStore() };
    await through({ ...options, schema: standard((value) => ({ value })) } as never, records(2));
    await expect(through({ ...options, resume: true } as never, records(2))).rejects.toMatchObject({
      code: "CHECKPOINT_MISMATCH",
    });
  });

  it("is a part of a comparison, and of a read", async () => {
    const { connect } = managed({ from: () => new ScriptedStore(LIST) });
    const connection = await connect();
    await connection.transfer({}, { ...NO_LETTERS, schema: withZod });
    const { sourceCount, unreadable } = await connection.verify({}, { schema: withZod });
    expect({ sourceCount, unreadable }).toEqual({ sourceCount: 2, unreadable: 1 });
    expect(await connection.verify()).toMatchObject({ sourceCount: 3, unreadable: 0 });
    for await (const { records: docs, failures } of connection.read({}, { schema: withZod })) {
      expect(docs.map(({ title }) => title.length)).toEqual([1, 1]);
      expect(failures).toMatchObject([{ id: "b", error: { code: "VALIDATION_FAILED" } }]);
    }
  });
});

describe("transformTimeout", () => {
  it("fails the one record whose call takes too long, names itself, and ignores the late answer", async () => {
    const answers: string[] = [];
    const { result, letters, written } = await through(
      {
        transformTimeout: 20,
        hookTimeout: 10_000,
        transform: async (record: P2PRecord) => {
          if (record.at === 1) await new Promise((resolve) => setTimeout(resolve, 60));
          answers.push(String(record.id));
          return record;
        },
      } as never,
      records(3),
    );
    expect(written.map(({ at }) => at)).toEqual([0, 2]);
    expect(result).toMatchObject({ successCount: 2, failureCount: 1 });
    expect(letters).toMatchObject([
      {
        id: "r00001",
        code: "TRANSFORM_FAILED",
        reason: 'The transform failed on record "r00001": it did not settle within the transformTimeout of 20 ms',
      },
    ]);
    await new Promise((resolve) => setTimeout(resolve, 80));
    expect(answers).toContain("r00001");
    expect(written).toHaveLength(2);
  });

  it("bounds the transform of a comparison too", async () => {
    const { connect } = managed();
    const connection = await connect();
    await connection.transfer({}, NO_LETTERS);
    const result = await connection.verify(
      {},
      { transformTimeout: 20, transform: (record) => (record.at === 1 ? new Promise(() => {}) : record) },
    );
    expect(result.unreadable).toBe(1);
  });
});
