import Database from "better-sqlite3";
import { SQLITE_TABLE } from "../places.ts";
import type { Column, Shape } from "../shapes.ts";
import { type Loop, PAGE } from "./loop.ts";
import { asText, fields, writtenOut } from "./written-out.ts";

/** The cells of a row, with its rowid at the end where it was read. */
type Cells = unknown[];

/** Rows in one statement; more gain nothing. */
const ROWS = 20;

const names = (shape: Shape) => ["id", ...shape.columns.map(({ name }) => name)];

/** SQLite by hand: keyset pages of raw rows; upserts of twenty rows by a prepared statement, a transaction a page. */
export const sqliteLoop: Loop<Cells> = {
  async *read({ name }, shape) {
    const database = new Database(name, { readonly: true });
    try {
      const next = database
        .prepare<[number, number], Cells>(
          `SELECT ${names(shape).join(", ")}, rowid FROM ${SQLITE_TABLE} WHERE rowid > ? ORDER BY rowid LIMIT ?`,
        )
        .raw();
      let last = 0;
      for (;;) {
        const page = next.all(last, PAGE);
        if (page.length === 0) return;
        // The last cell is no column, so a row is what the writer binds.
        for (const cells of page) last = cells.pop() as number;
        yield page;
      }
    } finally {
      database.close();
    }
  },
  async openWriter({ name }, shape) {
    const database = new Database(name);
    database.pragma("journal_mode = WAL");
    database.pragma("synchronous = NORMAL");
    const declared = shape.columns.map(({ name: column, kind }) => `${column} ${DECLARED[kind]}`);
    database.exec(`CREATE TABLE ${SQLITE_TABLE} (id TEXT PRIMARY KEY NOT NULL, ${declared.join(", ")})`);
    const tuple = `(?${", ?".repeat(shape.columns.length)})`;
    const upsert = (rows: number) =>
      database.prepare<unknown[]>(
        `INSERT INTO ${SQLITE_TABLE} (${names(shape).join(", ")}) VALUES ${Array(rows).fill(tuple).join(", ")}
         ON CONFLICT (id) DO UPDATE SET ${shape.columns.map(({ name: column }) => `${column} = excluded.${column}`).join(", ")}`,
      );
    const [several, single] = [upsert(ROWS), upsert(1)];
    const write = database.transaction((page: readonly Cells[]) => {
      let at = 0;
      for (; at + ROWS <= page.length; at += ROWS) several.run(page.slice(at, at + ROWS).flat());
      for (; at < page.length; at++) single.run(page[at]!);
    });
    return {
      inFlight: 1,
      write(page) {
        write(page);
        return undefined;
      },
      close: () => void database.close(),
    };
  },
  decode: (shape) =>
    writtenOut(
      "cells",
      `({ id: cells[0], ${fields(shape, (column, index) => fromCell(column, `cells[${index + 1}]`))} })`,
    ),
  encode: (shape) =>
    writtenOut("row", `[row.id, ${shape.columns.map((column) => toCell(column, `row.${column.name}`)).join(", ")}]`),
};

const DECLARED = { text: "TEXT", number: "NUMERIC", boolean: "BOOLEAN", date: "TIMESTAMP" } as const;

function fromCell({ kind }: Column, cell: string): string {
  return kind === "boolean" ? `${cell} === 1` : cell;
}

function toCell({ kind }: Column, value: string): string {
  if (kind === "boolean") return `${value} ? 1 : 0`;
  return kind === "date" ? asText(value) : value;
}
