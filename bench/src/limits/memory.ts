import type { Row } from "../shapes.ts";
import { type Loop, PAGE } from "./loop.ts";
import { fields, writtenOut } from "./written-out.ts";

/** The maps of this process, by name. */
export const maps = new Map<string, Map<string, Row>>();

/** Memory by hand is a `Map`. */
export const memoryLoop: Loop<Row> = {
  async *read({ name }) {
    let page: Row[] = [];
    for (const row of maps.get(name)!.values()) {
      if (page.push(row) < PAGE) continue;
      yield page;
      page = [];
    }
    if (page.length > 0) yield page;
  },
  async openWriter({ name }) {
    const target = new Map<string, Row>();
    maps.set(name, target);
    return {
      inFlight: 1,
      write(page) {
        for (const row of page) target.set(row.id, row);
        return undefined;
      },
      close() {},
    };
  },
  decode: () => (row) => row,
  encode(shape) {
    const dates = shape.columns.filter(({ kind }) => kind === "date").map(({ name }) => name);
    return (row) => {
      for (const name of dates) {
        const date = row[name];
        if (typeof date === "string") row[name] = new Date(date);
      }
      return row;
    };
  },
  // Two maps that share their records would not be two stores.
  copy: (shape) =>
    writtenOut(
      "row",
      `({ id: row.id, ${fields(shape, ({ name, kind }) => (kind === "date" ? `new Date(row.${name})` : `row.${name}`))} })`,
    ),
};
