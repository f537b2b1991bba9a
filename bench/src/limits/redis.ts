import { Redis } from "ioredis";
import { type Place, REDIS_PREFIX } from "../places.ts";
import type { Row } from "../shapes.ts";
import { type Loop, readAhead } from "./loop.ts";
import { fields, writtenOut } from "./written-out.ts";

/** A key, and the JSON text at it. */
type Pair = readonly [key: string, text: string];

/** Keys that the server looks at in one step. */
const SCAN_COUNT = 1000;

/** Redis by hand: SCAN and MGET with the next page on its way, MSET of JSON with several in flight. */
export const redisLoop: Loop<Pair> = {
  read: (place) => readAhead(readPages(place)),
  async openWriter(place) {
    const redis = connect(place);
    return {
      inFlight: 4,
      write(page) {
        const words: string[] = [];
        for (const [key, text] of page) words.push(key, text);
        return redis.mset(words);
      },
      close: () => redis.disconnect(),
    };
  },
  decode(shape) {
    // Dates stand in the JSON with their type, as the library writes them.
    const dates = shape.columns.filter(({ kind }) => kind === "date").map(({ name }) => name);
    return ([, text]) => {
      const row = JSON.parse(text) as Row;
      for (const name of dates) row[name] = new Date((row[name] as { value: string }).value);
      return row;
    };
  },
  encode(shape) {
    const value = writtenOut<Row, unknown>(
      "row",
      `({ id: row.id, ${fields(shape, ({ name, kind }) => (kind === "date" ? `{ $p2p: "date", value: row.${name} }` : `row.${name}`))} })`,
    );
    return (row) => [REDIS_PREFIX + row.id, JSON.stringify(value(row))];
  },
};

async function* readPages(place: Place): AsyncGenerator<Pair[]> {
  const redis = connect(place);
  try {
    const scan = (cursor: string) => redis.scan(cursor, "MATCH", `${REDIS_PREFIX}*`, "COUNT", SCAN_COUNT);
    let names: Promise<[cursor: string, keys: string[]]> | undefined = scan("0");
    while (names !== undefined) {
      const [cursor, keys]: [string, string[]] = await names;
      // The next names come on the heels of these values.
      const texts = keys.length > 0 ? redis.mget(keys) : [];
      names = cursor === "0" ? undefined : scan(cursor);
      const found = await texts;
      if (found.length > 0) yield keys.map((key, index) => [key, found[index]!] as const);
    }
  } finally {
    redis.disconnect();
  }
}

function connect({ server, name }: Place): Redis {
  return new Redis(server, { db: Number(name) });
}
