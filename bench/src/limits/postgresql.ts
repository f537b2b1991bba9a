import { finished } from "node:stream/promises";
import { Client, DatabaseError } from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { type Place, POSTGRESQL_SCHEMA } from "../places.ts";
import type { Column, Shape } from "../shapes.ts";
import { type Loop, PAGE, readAhead } from "./loop.ts";
import { toBinary } from "./postgresql-binary.ts";
import { asDate, fields, writtenOut } from "./written-out.ts";

/** The cells of a row in the order of the columns: texts as the server wrote them, values where another store was read. */
type Cells = readonly unknown[];

/** Connections that write: one page is prepared while the server takes the other. */
const CONNECTIONS = 2;

/** Rows in a page of reading; more gain nothing. */
const READ = 2 * PAGE;

/** The server's own texts: the driver's parsers of them cost more than what the loops do with them. */
const AS_TEXT = { getTypeParser: () => (text: string) => text };

/**
 * PostgreSQL by hand: keyset pages by the driver with the next one on its way; pages by COPY in its binary format, which
 * spares both sides the texts of numbers, and by an upsert from a temporary table where a key is there already. (Reading
 * by COPY in binary, taken apart by hand, is slower for long texts and up to twice as fast for many numbers.)
 */
export const postgresqlLoop: Loop<Cells> = {
  read: (place, shape) => readAhead(readPages(place, shape)),
  async openWriter(place, shape) {
    const idle = await Promise.all(Array.from({ length: CONNECTIONS }, () => connectTo(place)));
    await createTable(idle[0]!, place, shape);
    return {
      inFlight: CONNECTIONS,
      async write(page) {
        // As many connections as pages in flight: one is always idle.
        const client = idle.pop()!;
        try {
          await writePage(client, place, shape, toBinary(page));
        } finally {
          idle.push(client);
        }
      },
      async close() {
        await Promise.all(idle.map((client) => client.end()));
      },
    };
  },
  decode: (shape) =>
    writtenOut(
      "cells",
      `({ id: cells[0], ${fields(shape, (column, index) => fromText(column, `cells[${index + 1}]`))} })`,
    ),
  encode: (shape) =>
    writtenOut(
      "row",
      `[row.id, ${shape.columns.map(({ name, kind }) => (kind === "date" ? asDate(`row.${name}`) : `row.${name}`)).join(", ")}]`,
    ),
  // Rows of the other place are texts, which the binary format has no use for.
  copy: (shape) =>
    writtenOut(
      "cells",
      `[cells[0], ${shape.columns.map((column, index) => fromText(column, `cells[${index + 1}]`)).join(", ")}]`,
    ),
};

const DECLARED = { text: "text", number: "double precision", boolean: "boolean", date: "timestamptz" } as const;

const names = (shape: Shape) => ["id", ...shape.columns.map(({ name }) => name)].join(", ");

/** The table of a place, in SQL. */
export function tableOf({ name }: Place): string {
  return `${POSTGRESQL_SCHEMA}."${name}"`;
}

/** A connection to the server of a place. */
export async function connectTo({ server }: Place): Promise<Client> {
  const client = new Client(server);
  await client.connect();
  return client;
}

/** Makes the table of a place with the columns that the library would give it. */
export async function createTable(client: Client, place: Place, shape: Shape): Promise<void> {
  const columns = shape.columns.map(({ name, kind }) => `${name} ${DECLARED[kind]}`);
  await client.query(`CREATE TABLE ${tableOf(place)} (id text COLLATE "C" PRIMARY KEY, ${columns.join(", ")})`);
}

async function* readPages(place: Place, shape: Shape): AsyncGenerator<Cells[]> {
  const client = await connectTo(place);
  try {
    const text = `SELECT ${names(shape)} FROM ${tableOf(place)} WHERE id > $1 ORDER BY id LIMIT ${READ}`;
    let last = "";
    for (;;) {
      const values = [last];
      const { rows } = await client.query<string[]>({ name: "page", text, values, rowMode: "array", types: AS_TEXT });
      if (rows.length === 0) return;
      last = rows.at(-1)![0]!;
      yield rows;
    }
  } finally {
    await client.end();
  }
}

async function writePage(client: Client, place: Place, shape: Shape, page: Buffer): Promise<void> {
  const table = tableOf(place);
  try {
    await copyInto(client, table, page);
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.code !== "23505") throw error;
    await client.query(`BEGIN; CREATE TEMP TABLE page (LIKE ${table}) ON COMMIT DROP`);
    await copyInto(client, "page", page);
    const set = shape.columns.map(({ name }) => `${name} = excluded.${name}`);
    await client.query(
      `INSERT INTO ${table} SELECT * FROM page ON CONFLICT (id) DO UPDATE SET ${set.join(", ")}; COMMIT`,
    );
  }
}

async function copyInto(client: Client, table: string, page: Buffer): Promise<void> {
  const copy = client.query(copyFrom(`COPY ${table} FROM STDIN (FORMAT binary)`));
  copy.end(page);
  await finished(copy);
}

function fromText({ kind }: Column, cell: string): string {
  if (kind === "number") return `${cell} === null ? null : Number(${cell})`;
  if (kind === "boolean") return `${cell} === "t"`;
  // 2020-09-13 12:26:40.5+00
  if (kind === "date") return `new Date(${cell}.slice(0, 10) + "T" + ${cell}.slice(11, -3) + "Z")`;
  return cell;
}
