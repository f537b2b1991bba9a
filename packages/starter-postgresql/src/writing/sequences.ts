/** Sequences: those of identity and serial columns go on behind the numbers that were written, so that the next INSERT finds a free one. */
import type { Session } from "../client/session.ts";
import { literal } from "../client/sql.ts";
import type { Table } from "../client/table.ts";
import type { RowGroup } from "./batch-writer.ts";

/** A sequence that numbers the rows of a table. */
interface Sequence {
  /** The column that takes its numbers. */
  readonly column: string;
  /** As SQL. */
  readonly name: string;
  /** A number like this one leaves none behind it. */
  readonly most: bigint;
  /** How far apart its numbers are. */
  readonly step: bigint;
  /** The highest number that was written by any batch, behind which it is to stand. */
  wanted: bigint;
}

/** Those that count upwards, and that the user may move. The sequence is found by what it belongs to. */
const sequencesSql = (
  oid: number,
) => `SELECT a.attname, pg_catalog.format('%I.%I', n.nspname, c.relname), q.seqmax, q.seqincrement
FROM pg_catalog.pg_depend d
  JOIN pg_catalog.pg_class c ON c.oid = d.objid AND c.relkind = 'S'
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_sequence q ON q.seqrelid = c.oid
  JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
  AND d.refobjid = ${oid} AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i') AND q.seqincrement > 0 AND NOT q.seqcycle
  AND pg_catalog.has_sequence_privilege(c.oid, 'UPDATE') AND pg_catalog.has_sequence_privilege(c.oid, 'SELECT')`;

/** Moves the sequences of one table, and never back. */
export class Sequences {
  readonly #table: Table;
  #found: readonly Sequence[] | undefined;

  constructor(table: Table) {
    this.#table = table;
  }

  /** Whether the table can have any: of an identity, or of a default that asks for the next number. */
  static mayHave({ own, type, columns }: Table): boolean {
    const isStored = type === "table" || type === "partitioned";
    return (
      isStored &&
      !own &&
      columns.some(({ identity, default: by }) => identity !== undefined || by?.startsWith("nextval(") === true)
    );
  }

  /** Moves them behind the rows of these groups. What a sequence is set to stays when the transaction is rolled back. */
  async follow(session: Session, groups: readonly RowGroup[], isWritten: (index: number) => boolean): Promise<void> {
    if (this.#found === undefined) {
      const { rows } = await session.query(sequencesSql(this.#table.oid));
      this.#found = rows.map(([column, name, most, step]) => ({
        column: column!,
        name: name!,
        most: BigInt(most!),
        step: BigInt(step!),
        wanted: 0n,
      }));
    }
    for (const sequence of this.#found) {
      const highest = highestOf(sequence, groups, isWritten);
      // Of two batches at a time, the one that is late may have set it back.
      for (let done = sequence.wanted; highest > done || sequence.wanted > done; ) {
        if (highest > sequence.wanted) sequence.wanted = highest;
        done = sequence.wanted;
        await session.query(moveSql(sequence, done));
      }
    }
  }
}

/**
 * The last of its own numbers up to this one: where several databases share the numbers by steps, the others are theirs. One that has
 * given out no number yet would give out the one that it stands at.
 */
function moveSql({ name, step }: Sequence, to: bigint): string {
  const left = `(${to}::pg_catalog.numeric - last_value)`;
  return (
    `SELECT pg_catalog.setval(${literal(name)}::pg_catalog.regclass, (${to} - ${left} % ${step})::pg_catalog.int8) FROM ${name} ` +
    `WHERE ${left} >= ${step} OR NOT is_called AND last_value <= ${to}`
  );
}

/** The highest number that was written into the column, below the last that the sequence has. */
function highestOf(
  { column, most }: Sequence,
  groups: readonly RowGroup[],
  isWritten: (index: number) => boolean,
): bigint {
  let highest = 0n;
  for (const { shape, rows } of groups) {
    const at = shape.columns.findIndex(({ name }) => name === column);
    if (at < 0) continue;
    for (const { index, cells } of rows) {
      const cell = cells[at];
      if (cell == null || !/^\d{1,19}$/.test(cell) || !isWritten(index)) continue;
      const number = BigInt(cell);
      if (number > highest && number < most) highest = number;
    }
  }
  return highest;
}
