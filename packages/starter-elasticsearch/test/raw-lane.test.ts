import type { P2PDataTransferService, P2PRecord, RawBatch } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { expect, test } from "vitest";
import { call } from "./fresh-index.ts";
import { calm, open, read, readBatches, testIndex, write } from "./opening.ts";

async function readRaw(service: P2PDataTransferService): Promise<RawBatch[]> {
  const batches: RawBatch[] = [];
  for await (const batch of service.rawSource!.read({}, { batchSize: 100, signal: calm() })) batches.push(batch);
  return batches;
}

describeWithService("elasticsearch", "documents that are taken as they are", ({ url }) => {
  const records: P2PRecord[] = [
    {
      id: "a",
      text: "one",
      number: 1.5,
      when: new Date(0),
      flag: true,
      meta: { deep: [1, { two: null }] },
      none: null,
    },
    { id: "b", text: "tõö \u{1f600}", number: 2 ** 60, list: ["x", "y"], bytes: new Uint8Array([1, 2]), big: 5n },
    { id: "c", text: "three", number: Number.NaN, list: [1n, "z"], big: 2n ** 62n, when: new Date(-1) },
  ];

  async function filled(): Promise<{ readonly index: string; readonly endpoint: string }> {
    const place = testIndex(url);
    const target = await open(place.endpoint);
    await write(target, records);
    await target.close();
    return place;
  }

  const add = (index: string, id: string, source: string): Promise<unknown> =>
    call(url, "POST", `/${index}/_bulk?refresh=true`, `${JSON.stringify({ index: { _id: id } })}\n${source}\n`);

  const sources = async (index: string): Promise<Record<string, unknown>> => {
    await call(url, "POST", `/${index}/_refresh`);
    const found = await call<{ hits: { hits: { _id: string; _source: unknown }[] } }>(url, "GET", `/${index}/_search`);
    return Object.fromEntries(found.hits.hits.map(({ _id, _source }) => [_id, _source]));
  };

  /** Copies by both lanes, and expects one outcome. */
  async function copied(endpoint: string): Promise<{ readonly raw: string; readonly plain: string }> {
    const [raw, plain] = [testIndex(url), testIndex(url)];
    const source = await open(endpoint, "source");
    const batches = await readRaw(source);
    const target = await open(raw.endpoint);
    const written = await target.rawTarget!.write(
      batches.flatMap(({ documents }) => documents),
      { mode: "upsert", signal: calm() },
    );
    await write(await open(plain.endpoint), await read(source));
    expect(written.failures).toEqual([]);
    expect(await read(await open(raw.endpoint, "source"))).toEqual(await read(await open(plain.endpoint, "source")));
    return { raw: raw.index, plain: plain.index };
  }

  test("an index of ours is copied with its mapping and its documents", async () => {
    const { index, endpoint } = await filled();
    const { raw } = await copied(endpoint);
    expect(await sources(raw)).toEqual(await sources(index));
    const mapping = async (name: string) =>
      Object.values(await call<Record<string, unknown>>(url, "GET", `/${name}/_mapping`))[0];
    expect(await mapping(raw)).toEqual(await mapping(index));
  });

  test("documents that others put into it become what they are read as", async () => {
    const { index, endpoint } = await filled();
    await add(index, "without id", '{"text":"no id","number":7}');
    await add(index, "another id", '{"id":"else","text":"t"}');
    await add(index, "digits", '{"id":"digits","meta":{"n":12345678901234567890},"number":1e5}');
    await add(index, "zero", '{"id":"zero","number":-0.0,"text":["a","b"],"unknown":{"x":1}}');
    await add(index, "_p2p", '{"id":"_p2p","_p2p":{"fields":["text"],"more":1}}');
    const { raw, plain } = await copied(endpoint);
    expect(await sources(raw)).toEqual(await sources(plain));
  });

  test("what is no record fails by itself, as it does otherwise", async () => {
    const { index, endpoint } = await filled();
    await add(index, "half", '{"id":"half","text":"\\ud800"}');
    await add(index, "torn", '{"id":"torn","_p2p":{"values":{"text":[{"$p2p":"bigint","value":"x"}]}}}');
    const source = await open(endpoint, "source");
    const failures = (await readRaw(source)).flatMap((batch) => batch.failures ?? []);
    expect(failures.map(({ id, error }) => [id, error.code])).toEqual([
      ["half", "INVALID_RECORD"],
      ["torn", "READ_FAILED"],
    ]);
    // The records' own lane leaves the first of them to the transfer, and says so.
    const batches = await readBatches(source);
    expect(batches.every(({ valid }) => valid)).toBe(false);
    expect(batches.flatMap((batch) => batch.failures ?? []).map(({ id }) => id)).toEqual(["torn"]);
  });

  test("into an index with other fields they go as records", async () => {
    const { endpoint } = await filled();
    const target = testIndex(url);
    await write(await open(target.endpoint), [{ id: 1, text: 5, number: "n" }]);
    const documents = (await readRaw(await open(endpoint, "source"))).flatMap((batch) => batch.documents);
    const service = await open(target.endpoint);
    const result = await service.rawTarget!.write(documents, { mode: "upsert", signal: calm() });
    expect(result).toMatchObject({ written: 3, failures: [] });
    const back = await read(await open(target.endpoint, "source"));
    expect(back).toEqual([{ id: 1, text: 5, number: "n" }, ...records]);
  });
});
