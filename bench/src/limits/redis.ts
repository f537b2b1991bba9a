import { Redis } from "ioredis";
import { type Place, REDIS_PREFIX } from "../places.ts";
import type { Column, Row } from "../shapes.ts";
import { type Loop, PAGE, readAhead } from "./loop.ts";
import { asText, fields, writtenOut } from "./written-out.ts";

/** A key, and the JSON text at it. */
type Pair = readonly [key: string, text: string];

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
      for (const name of dates) row[name] = (row[name] as { value: string }).value;
      return row;
    };
  },
  encode(shape) {
    if (shape.columns.every(({ kind }) => kind !== "date"))
      return (row) => [REDIS_PREFIX + row.id, JSON.stringify(row)];
    const value = writtenOut<Row, unknown>("row", `({ id: row.id, ${fields(shape, jsonValue)} })`);
    return (row) => [REDIS_PREFIX + row.id, JSON.stringify(value(row))];
  },
};

function jsonValue({ name, kind }: Column): string {
  return kind === "date" ? `{ $p2p: "date", value: ${asText(`row.${name}`)} }` : `row.${name}`;
}

async function* readPages(place: Place): AsyncGenerator<Pair[]> {
  const redis = connect(place);
  try {
    const scan = (cursor: string) => redis.scan(cursor, "MATCH", `${REDIS_PREFIX}*`, "COUNT", PAGE);
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
