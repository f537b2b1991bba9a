/** Point look-ups: how rows are found by the canonical texts of their ids, through the index of the key. */
import { dateOfIso, idKey, type P2PId, type P2PValue, TaggedValue } from "@omni/p2p-core/starter";
import { quote } from "../client/sql.ts";
import type { Column, Table } from "../client/table.ts";
import { STORE } from "../types.ts";
import { canonicalCell } from "../values/canonical-tags.ts";
import { parseCompositeId } from "../values/composite-id.ts";
import { storeId } from "../values/own-ids.ts";
import { ownIdType } from "../values/row-plan.ts";
import { serverTextOfDate, serverTextOfTag } from "../values/timestamps.ts";
import { kindOf, outputText, typeNameOf } from "./column-kind.ts";
import { type Fragment, listLiteral, typeText } from "./params.ts";
import { equalText } from "./where-cell.ts";

/** What one column of a key holds for a part of an id. */
interface KeyCell {
  readonly cell: string;
  /** Whether the text itself is compared, by no index: a cast of it may fail, or give another one. */
  readonly byText: boolean;
}

/** A key as it is stored: a cell for each of its columns. */
export type StoredKey = readonly KeyCell[];

/** Finds rows by ids. */
export class IdCandidates {
  /** Whether every row that is found has one of the texts; else there may be others among them. */
  readonly exact: boolean;
  readonly #table: Table;
  readonly #columns: readonly Column[];

  constructor(table: Table) {
    this.#table = table;
    this.#columns = table.key.columns.map(({ column }) => column);
    this.exact = table.own || (this.#columns.length === 1 && isExact(this.#columns[0]!));
  }

  /** The stored key of the rows whose id may have this text; `undefined` where there can be none. */
  keyOf(text: string): StoredKey | undefined {
    const columns = this.#columns;
    if (this.#table.own) return [{ cell: storeId(ownIdType(this.#table), text), byText: false }];
    if (columns.length === 1) {
      const cell = cellOf(columns[0]!, text);
      return cell && [cell];
    }
    const parts = parseCompositeId(text);
    if (parts?.length !== columns.length) return undefined;
    const cells = parts.map((part, at) => (part === null ? undefined : cellOf(columns[at]!, textOfPart(part))));
    return cells.every((cell) => cell !== undefined) ? cells : undefined;
  }

  /** Finds the rows with these keys, of which there is one at least. */
  condition(keys: readonly StoredKey[]): Fragment {
    const typed = keys.filter((key) => key.every(({ byText }) => !byText));
    const others = keys.filter((key) => !typed.includes(key));
    return (params) => {
      const parts = typed.length === 0 ? [] : [this.#typed(typed)(params)];
      for (const key of others) {
        const equal = key.map(({ cell, byText }, at) => {
          const column = this.#columns[at]!;
          const side = byText ? outputText(quote(column.name)) : quote(column.name);
          return `${side} = ${params.add(cell, byText ? "pg_catalog.text" : typeText(column.type))}`;
        });
        parts.push(`(${equal.join(" AND ")})`);
      }
      return parts.length === 1 ? parts[0]! : `(${parts.join(" OR ")})`;
    };
  }

  #typed(keys: readonly StoredKey[]): Fragment {
    const lists = this.#columns.map((_, at) => listLiteral(keys.map((key) => key[at]!.cell)));
    const types = this.#columns.map(({ type }) => `${typeText(type)}[]`);
    const names = this.#columns.map(({ name }) => quote(name));
    return (params) => {
      const marks = lists.map((list, at) => params.add(list, types[at]!));
      if (names.length === 1) return `${names[0]} = ANY(${marks[0]})`;
      return `(${names.join(", ")}) IN (SELECT * FROM unnest(${marks.join(", ")}))`;
    };
  }
}

/** Whether equal cells are equal ids. */
function isExact(column: Column): boolean {
  const kind = kindOf(column);
  if (kind === "text") return equalText("", column, "00000000-0000-0000-0000-000000000000")?.exact === true;
  return kind === "integer" || kind === "bytes" || kind === "boolean";
}

/** The text of a part, as that of an id. */
function textOfPart(part: Exclude<P2PValue, null>): string {
  return Array.isArray(part) ? JSON.stringify(part) : idKey(part as P2PId);
}

/** What the column holds for an id with this text; `undefined` where it can hold none. */
function cellOf(column: Column, text: string): KeyCell | undefined {
  if (text.includes("\0")) return undefined;
  const typed = (cell: string): KeyCell => ({ cell, byText: false });
  const asText: KeyCell = { cell: text, byText: true };
  const name = typeNameOf(column);
  switch (kindOf(column)) {
    case "integer":
      return integerFits(text, name) ? typed(text) : undefined;
    case "float": {
      const number = Number(text);
      if (String(number) !== text) return undefined;
      const single = Math.fround(number);
      const isLost =
        name === "float4" && Number.isFinite(number) && (!Number.isFinite(single) || (single === 0 && number !== 0));
      return isLost ? undefined : typed(text);
    }
    case "decimal":
      return /^-?\d{1,1000}(?:\.\d{1,1000})?(?:e[+-]\d{1,3})?$/.test(text) ? typed(text) : asText;
    case "boolean":
      return text === "true" || text === "false" ? typed(text) : undefined;
    case "bytes":
      return /^(?:[0-9a-f]{2})*$/.test(text) ? typed(`\\x${text}`) : undefined;
    case "text": {
      const equality = equalText("", column, text);
      if (equality === undefined) return undefined;
      return equality.side === "" ? typed(text) : asText;
    }
    case "time":
      return timeCell(text);
    case "tag": {
      const cell = canonicalCell(name, new TaggedValue(`${STORE}:${name}`, text));
      return cell === undefined ? asText : typed(cell);
    }
    case "json":
    case "array":
      return asText;
  }
}

const LIMITS: Readonly<Record<string, readonly [least: bigint, most: bigint]>> = {
  int2: [-(2n ** 15n), 2n ** 15n - 1n],
  int4: [-(2n ** 31n), 2n ** 31n - 1n],
  int8: [-(2n ** 63n), 2n ** 63n - 1n],
  oid: [0n, 2n ** 32n - 1n],
};

function integerFits(text: string, type: string): boolean {
  if (!/^(?:0|-?[1-9]\d{0,18})$/.test(text)) return false;
  const [least, most] = LIMITS[type]!;
  const integer = BigInt(text);
  return integer >= least && integer <= most;
}

const TIME = /^((?:\d{4}|[+-]\d{6})-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})\d{0,3}Z$/;

function timeCell(text: string): KeyCell | undefined {
  if (text === "infinity" || text === "-infinity") return { cell: text, byText: false };
  const milliseconds = TIME.exec(text)?.[1];
  const date = milliseconds === undefined ? undefined : dateOfIso(`${milliseconds}Z`);
  if (date === undefined || serverTextOfDate(date) === undefined) return undefined;
  return { cell: serverTextOfTag(text), byText: false };
}
