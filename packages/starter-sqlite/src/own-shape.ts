import type { P2PRecord } from "@omni/p2p-core";
import { isPlainId, storeId } from "./own-ids.ts";
import { approximate, MISFIT, storeOwn } from "./own-values.ts";
import type { Shape } from "./shape.ts";
import { SidecarWriter } from "./sidecar.ts";
import type { SqlValue } from "./sql.ts";
import type { Column, Table } from "./table.ts";

/**
 * The shape of records for a table of ours. Every column is written, so that a record is replaced as a whole; what
 * the columns cannot say goes into the sidecar.
 */
export function ownShape(table: Table, fields: readonly string[]): Shape {
  const { columns } = table;
  const idColumn = table.key.columns[0]!.column;
  const given = new Set(fields);
  const homeless = fields.filter((field) => !columns.some((column) => column.field === field));
  // NULL says null in these columns, so it must be said that the field is absent.
  const absent = columns.filter(({ field, optional }) => !optional && !given.has(field)).map(({ field }) => field);
  const sidecar = new SidecarWriter();
  for (const field of absent) sidecar.addAbsent(field);
  const usual = sidecar.text();

  const encode = (record: P2PRecord, params: SqlValue[]): void => {
    let plain = homeless.length === 0;
    if (!plain) restart(sidecar, absent);
    const note = (field: string, value: P2PRecord[string]): void => {
      if (plain) restart(sidecar, absent);
      plain = false;
      sidecar.set(field, value!);
    };
    for (const column of columns) {
      if (column === idColumn) {
        params.push(storeId(column.kind, record.id));
        if (!isPlainId(column.kind, record.id)) note("id", record.id);
        continue;
      }
      params.push(given.has(column.field) ? storeCell(column, record, note) : null);
    }
    for (const field of homeless) sidecar.set(field, record[field]!);
    params.push(plain ? usual : sidecar.text());
  };
  return { fields, columns, writesRowid: false, writesSidecar: true, encode };
}

function restart(sidecar: SidecarWriter, absent: readonly string[]): void {
  sidecar.reset();
  for (const field of absent) sidecar.addAbsent(field);
}

function storeCell(
  { field, kind, optional }: Column,
  record: P2PRecord,
  note: (field: string, value: P2PRecord[string]) => void,
): SqlValue {
  const value = record[field]!;
  if (typeof value === "string" && kind === "text") return value;
  if (value === null) {
    if (optional) note(field, null);
    return null;
  }
  const stored = storeOwn(kind, value);
  if (stored !== MISFIT) return stored;
  note(field, value);
  return approximate(kind, value);
}
