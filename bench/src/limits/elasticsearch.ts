import { Client, type estypes } from "@elastic/elasticsearch";
import type { Place } from "../places.ts";
import type { Row, Shape } from "../shapes.ts";
import { type Loop, readAhead } from "./loop.ts";

/** A document, with the id that it has in the index. */
interface Stored {
  readonly id: string;
  readonly source: Row;
}

/** Documents in a page: a request costs enough for larger ones than elsewhere to be worth it. */
const PAGE = 2000;

/** Elasticsearch by hand: a point in time with `search_after`, bulk requests of ready lines with several in flight. */
export const elasticsearchLoop: Loop<Stored> = {
  read: (place) => readAhead(readPages(place)),
  async openWriter({ server, name }, shape) {
    const client = new Client({ node: server });
    await createIndex(client, name, shape);
    return {
      inFlight: 4,
      async write(page) {
        const lines: string[] = [];
        for (const { id, source } of page)
          lines.push(`{"index":{"_id":${JSON.stringify(id)}}}`, JSON.stringify(source));
        const answer = await client.bulk({ index: name, operations: lines, filter_path: "errors,items.*.error" });
        if (answer.errors) throw new Error(`documents failed: ${JSON.stringify(answer.items[0])}`);
      },
      async close() {
        await client.indices.refresh({ index: name });
        await client.close();
      },
    };
  },
  decode:
    () =>
    ({ source }) =>
      source,
  encode: () => (row) => ({ id: row.id, source: row }),
};

async function* readPages({ server, name }: Place): AsyncGenerator<Stored[]> {
  const client = new Client({ node: server });
  let { id } = await client.openPointInTime({ index: name, keep_alive: "1m" });
  try {
    let after: estypes.SortResults | undefined;
    for (;;) {
      const { hits, pit_id } = await client.search<Row>({
        pit: { id, keep_alive: "1m" },
        sort: ["_shard_doc"],
        size: PAGE,
        track_total_hits: false,
        ...(after && { search_after: after }),
      });
      id = pit_id ?? id;
      after = hits.hits.at(-1)?.sort;
      if (after === undefined) return;
      yield hits.hits.map(({ _id, _source }) => ({ id: _id!, source: _source! }));
    }
  } finally {
    await client.closePointInTime({ id });
    await client.close();
  }
}

const PROPERTIES: Record<Shape["columns"][number]["kind"], estypes.MappingProperty> = {
  text: { type: "text", fields: { keyword: { type: "keyword", ignore_above: 256 } } },
  number: { type: "double" },
  boolean: { type: "boolean" },
  date: { type: "date" },
};

/** Makes an index with the fields that the library would give it. */
export async function createIndex(client: Client, index: string, shape: Shape): Promise<void> {
  await client.indices.create({
    index,
    settings: { number_of_shards: 1 },
    mappings: {
      dynamic: false,
      properties: {
        id: { type: "keyword" },
        ...Object.fromEntries(shape.columns.map(({ name, kind }) => [name, PROPERTIES[kind]])),
      },
    },
  });
}
