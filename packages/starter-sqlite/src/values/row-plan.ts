import { encodeJson, type P2PId, type P2PRecord, type P2PValue, setField } from "@omni/p2p-core/starter";
import { quote } from "../client/sql.ts";
import { type Column, rowidOf, type Table } from "../client/table.ts";
import { type ColumnKind, SIDECAR } from "../types.ts";
import { makeDecode, makeMeasure } from "./code-generation.ts";
import { decodeNoted, decoders } from "./decode.ts";
import { measureExact, type Row } from "./measure.ts";
import { storeId } from "./own-ids.ts";
import { readSidecar, type Sidecar } from "./sidecar.ts";
import { isStillBound, visibleCell } from "./visible-value.ts";

/** One column of the result: what is selected, under which name, and what becomes of it. */
interface Output {
  readonly alias: string;
  readonly expression: string;
  readonly kind: ColumnKind;
  /** The field of the record; `undefined` when it is only there to find the way. */
  readonly field: string | undefined;
}

/**
 * How rows of one query become records. Where it can be, the driver's row object is the record, changed in place;
 * rows with a sidecar or with columns that are no fields are copied.
 */
export class RowPlan {
  /** The list after SELECT. */
  readonly select: string;
  /** Where a row holds the stored values that tell its position, until {@link RowPlan.record} has had it. */
  readonly position: readonly string[];
  /** Whether every value comes from a column of SQLite's own types, which cannot hold what no record may hold. */
  readonly soundValues: boolean;
  /** The type of ids that no two rows share; `undefined` where the schema does not say so. */
  readonly distinctIds: "string" | "number" | undefined;
  readonly #table: Table;
  readonly #fields: ReadonlySet<string> | undefined;
  readonly #outputs: Output[] = [];
  readonly #keys: readonly string[];
  /** Aliases that are not simply the field of that name; `undefined` when there is none. */
  readonly #renamed: ReadonlyMap<string, string | undefined> | undefined;
  /** Aliases of columns in which NULL means that the field is absent. */
  readonly #optional: readonly string[];
  readonly #readsSidecar: boolean;
  #aliases: ReadonlyMap<string | undefined, string> | undefined;
  #measure: ((row: Row) => number) | undefined;
  #decode: ((row: Row) => void) | undefined;
  #decodeExact: ((row: Row) => void) | undefined;

  /**
   * @param fields what the records must have beside the id; all when `undefined`.
   * @param position expressions whose values tell a row's position in the order.
   * @param readsSidecar whether rows of a table of ours may have a sidecar. Without one they need no copy.
   */
  constructor(
    table: Table,
    fields: ReadonlySet<string> | undefined,
    position: readonly (Column | string)[],
    readsSidecar = table.own,
  ) {
    this.#table = table;
    this.#readsSidecar = readsSidecar;
    this.#fields = fields;
    const key = table.key.columns.map(({ column }) => column);
    this.#addId(key);
    for (const column of table.columns) {
      if (column.field !== "id" && (fields === undefined || fields.has(column.field))) this.#add(column, column.field);
    }
    if (readsSidecar) this.#add(quote(SIDECAR), undefined, SIDECAR);
    this.#keys = key.map((column) => this.#find(column).alias);
    this.position = position.map((item) => this.#find(item).alias);
    const renamed = this.#outputs.filter(({ alias, field }) => alias !== field);
    this.#renamed = renamed.length === 0 ? undefined : new Map(renamed.map(({ alias, field }) => [alias, field]));
    this.soundValues = !readsSidecar && table.columns.every(({ kind }) => kind !== "json");
    this.distinctIds = distinctIds(table);
    const optional = new Set(table.columns.filter((column) => column.optional).map(({ field }) => field));
    this.#optional = this.#outputs.filter(({ field }) => optional.has(field ?? "")).map(({ alias }) => alias);
    this.select = this.#outputs.map(({ expression, alias }) => `${expression} AS ${quote(alias)}`).join(", ");
  }

  #addId(key: readonly Column[]): void {
    if (key.length === 1) this.#add(key[0]!, "id");
    else this.#add(key.length === 0 ? rowidOf(this.#table) : "NULL", "id");
  }

  #add(source: Column | string, field: string | undefined, alias = this.#freeAlias(field)): Output {
    const output: Output = {
      alias,
      field,
      expression: typeof source === "string" ? source : quote(source.name),
      kind: typeof source === "string" ? "any" : source.kind,
    };
    this.#outputs.push(output);
    return output;
  }

  /** The output of a column or an expression, added without a field when no field has it as it is stored. */
  #find(source: Column | string): Output {
    const expression = typeof source === "string" ? source : quote(source.name);
    return this.#outputs.find((output) => output.expression === expression) ?? this.#add(source, undefined);
  }

  /** A row cannot have a property `__proto__`, and hidden columns must not take the name of a field. */
  #freeAlias(field: string | undefined): string {
    if (field !== undefined && field !== "__proto__") return field;
    const taken = new Set([...this.#table.columns.map((column) => column.field), ...this.#outputs.map((o) => o.alias)]);
    let number = 0;
    while (taken.has(`p2p:${number}`)) number++;
    return `p2p:${number}`;
  }

  /**
   * The size of a row in bytes, roughly; `INEXACT` when it must be read again with integers as bigints. Must be called
   * before {@link RowPlan.record}.
   *
   * @param exact whether its integers were read as bigints.
   */
  measure(row: Row, exact: boolean): number {
    if (exact) return measureExact(row);
    this.#measure ??= makeMeasure(this.#outputs);
    return this.#measure(row);
  }

  /** The record of a row, which may be the same object; `undefined` when a part of its key is NULL. */
  record(row: Row, exact: boolean): P2PRecord | undefined {
    const keys = this.#keys;
    for (let i = 0; i < keys.length; i++) if (row[keys[i]!] === null) return undefined;
    if (keys.length > 1) row.id = this.#compositeId(row);
    // What the sidecar says is about the cells as they are stored.
    const stored = this.#readsSidecar && saysOfCells(row[SIDECAR]!) ? { ...row } : row;
    this.#decodeCells(row, exact);
    if (this.#renamed !== undefined || this.#lacksField(row)) return this.#copy(row, stored);
    return row as P2PRecord;
  }

  #decodeCells(row: Row, exact: boolean): void {
    if (exact) {
      this.#decodeExact ??= makeDecode(this.#fieldOutputs(), true);
      this.#decodeExact(row);
    } else {
      this.#decode ??= makeDecode(this.#fieldOutputs(), false);
      this.#decode(row);
    }
  }

  #fieldOutputs(): Output[] {
    return this.#outputs.filter(({ field }) => field !== undefined);
  }

  #lacksField(row: Row): boolean {
    for (const alias of this.#optional) if (row[alias] === null) return true;
    return false;
  }

  /** The JSON text of the key's values, which {@link RowPlan.record} makes the id. */
  #compositeId(row: Row): string {
    const key = this.#table.key.columns;
    return encodeJson(
      this.#keys.map((alias, at) => {
        const decode = decoders[key[at]!.column.kind];
        return decode === undefined ? row[alias]! : decode(row[alias]!);
      }),
    );
  }

  #copy(row: Row, stored: Row): P2PRecord {
    const text = this.#readsSidecar ? row[SIDECAR] : null;
    const sidecar = typeof text === "string" ? readSidecar(text) : undefined;
    const record: Record<string, P2PValue> = {};
    for (const alias in row) {
      const field = this.#renamed?.has(alias) ? this.#renamed.get(alias) : alias;
      if (field === undefined) continue;
      const value = row[alias]!;
      if (value === null && (this.#optional.includes(alias) || sidecar?.absent.includes(field))) continue;
      setField(record, field, value);
    }
    if (sidecar !== undefined) this.#applySidecar(record, sidecar, stored);
    return record as P2PRecord;
  }

  #applySidecar(record: Record<string, P2PValue>, { values, types }: Sidecar, stored: Row): void {
    for (const [field, type] of types) {
      const cell = this.#cell(field, stored);
      if (cell !== null && cell !== undefined) setField(record, field, decodeNoted(type, cell));
    }
    for (const field of Object.keys(values)) {
      const value = values[field]!;
      if (field === "id") {
        if (value !== null && isStillBound(storeId(this.#idKind(), value as P2PId), stored.id!)) record.id = value;
        continue;
      }
      if (this.#fields !== undefined && !this.#fields.has(field)) continue;
      const column = this.#table.columns.find((candidate) => candidate.field === field);
      const cell = this.#cell(field, stored) ?? null;
      // What others wrote over the cell is newer than the sidecar.
      if (column !== undefined && cell !== null && !isStillBound(visibleCell(column, value), cell)) continue;
      setField(record, field, value);
    }
  }

  /** The cell of a field as it is stored; `undefined` when it was not read. */
  #cell(field: string, stored: Row): P2PValue | undefined {
    this.#aliases ??= new Map(this.#outputs.map((output) => [output.field, output.alias]));
    const alias = this.#aliases.get(field);
    return alias === undefined ? undefined : stored[alias];
  }

  #idKind(): Column["kind"] {
    return this.#table.key.columns[0]!.column.kind;
  }
}

/** In a column of TEXT affinity there are but texts and bytes, in a rowid but integers; other columns may hold 1 and "1". */
function distinctIds({ type, key }: Table): "string" | "number" | undefined {
  const [first] = key.columns;
  if (type !== "table" || !key.unique || first === undefined || key.columns.length > 1) return undefined;
  const { kind, affinity } = first.column;
  if (key.isRowid) return kind === "integer" ? "number" : undefined;
  return kind === "text" && affinity === "text" ? "string" : undefined;
}

/** Whether a sidecar says more than that fields are absent, as most do that there are. */
function saysOfCells(sidecar: P2PValue): boolean {
  return typeof sidecar === "string" && !/^\{"absent":\[[^\]]*\]\}$/.test(sidecar);
}
