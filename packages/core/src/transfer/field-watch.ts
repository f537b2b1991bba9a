/** Notices fields that a query names and no record has. */
import { unlessAborted } from "../async/abort.ts";
import type { P2PRecord } from "../model/record.ts";
import { getField } from "../model/value-tree.ts";
import { type P2PQuery, parseQuery, type QueryCondition } from "../storage/query.ts";
import type { P2PDataTransferService } from "../storage/service.ts";
import { shownName, suggest } from "../suggest.ts";
import type { Lane } from "./lane.ts";

/** Records that are looked at from the beginning; of what follows the last of each batch. */
const FIRST = 100;

/** Names of fields that are kept to suggest one of them. */
const MOST_NAMES = 5000;

/** How long the look at what the source declares, and at records without the query's conditions, may take, in ms. */
const PROBE_MS = 3000;

/** Bytes of it, roughly. */
const PROBE_BYTES = 1024 * 1024;

/** Where a query names a field: `type`, `where`, `orderBy` or `fields`. */
type Place = keyof P2PQuery;

/** A field that no record has shown yet. */
interface AskedField {
  readonly places: Set<Place>;
  /** A record that meets the query has it. */
  demanded: boolean;
  /** That it is absent is what was asked for, and nothing else. */
  absent: boolean;
}

/**
 * Looks whether the fields that a query names exist, since a name that was mistyped is no error: it gives nothing,
 * everything, or ids alone. The first records are looked at, and nothing once all names have been seen; only before a
 * field is told to be missing, a few records are read without the query's conditions.
 */
export class FieldWatch {
  readonly #query: P2PQuery;
  readonly #pending = new Map<string, AskedField>();
  readonly #names = new Set(["id"]);
  #looked = 0;

  /** @throws P2PError `INVALID_QUERY`. */
  constructor(query: P2PQuery) {
    this.#query = query;
    const { conditions, orderBy, fields = [] } = parseQuery(query);
    for (const [at, condition] of conditions.entries()) {
      const asked = this.#ask(condition.field, at === 0 && query.type !== undefined ? "type" : "where");
      if (demands(condition)) asked.demanded = true;
      if (!wantsAbsent(condition)) asked.absent = false;
    }
    for (const { field } of orderBy) this.#ask(field, "orderBy").absent = false;
    for (const field of fields) this.#ask(field, "fields").absent = false;
    this.#pending.delete("id");
  }

  #ask(field: string, place: Place): AskedField {
    const asked = this.#pending.get(field) ?? { places: new Set(), demanded: false, absent: true };
    this.#pending.set(field, asked);
    asked.places.add(place);
    return asked;
  }

  /** Whether there is nothing to tell: every field that the query names has been seen. */
  get knowsAll(): boolean {
    return this.#pending.size === 0;
  }

  /** The same lane, at whose batches it looks. */
  watch(lane: Lane): Lane {
    if (this.#pending.size === 0) return lane;
    const look = this.#look.bind(this);
    return {
      ...lane,
      async *read(query, options) {
        for await (const batch of lane.read(query, options)) {
          const { items, failures = [] } = batch;
          look(items.length, (at) => lane.recordOf(items[at]), failures.length);
          yield batch;
        }
      },
    };
  }

  /**
   * Looks at records that the query gave.
   *
   * @param unreadable how many more it gave that could not be made out.
   */
  look(records: readonly P2PRecord[], unreadable?: number): void {
    this.#look(records.length, (at) => records[at], unreadable);
  }

  /** Told that so many records meet the query. */
  met(count: number): void {
    if (count === 0) return;
    for (const [field, { demanded }] of this.#pending) if (demanded) this.#pending.delete(field);
  }

  /** Told of fields that the store declares, whether or not a record has them. */
  declared(fields: readonly string[]): void {
    for (const field of fields) this.#see(field);
  }

  #look(count: number, recordAt: (at: number) => P2PRecord | undefined, failures = 0): void {
    if (this.#pending.size === 0) return;
    this.met(count + failures);
    const first = Math.min(count, FIRST - this.#looked);
    for (let at = 0; at < first && this.#pending.size > 0; at++) this.#lookAt(recordAt(at));
    this.#looked += Math.max(0, first);
    // Where an order puts those without the field first, the others come late.
    if (count > first && this.#pending.size > 0) this.#lookAt(recordAt(count - 1));
  }

  #lookAt(record: P2PRecord | undefined): void {
    if (typeof record !== "object" || record === null) return;
    for (const name of Object.keys(record)) if (getField(record, name) !== undefined) this.#see(name);
  }

  #see(name: string): void {
    this.#pending.delete(name);
    if (this.#names.size < MOST_NAMES) this.#names.add(name);
  }

  /**
   * A sentence for each field that no record has shown, with the nearest name that one has. Reads a few records without
   * the conditions first if there is such a field; whatever goes wrong with that is no error.
   */
  async notes(service: P2PDataTransferService, signal: AbortSignal): Promise<readonly string[]> {
    if (this.#pending.size === 0) return [];
    const soon = AbortSignal.any([signal, AbortSignal.timeout(PROBE_MS)]);
    const complete = await this.#askSchema(service, soon);
    const looked = Math.max(this.#looked, this.#pending.size === 0 ? 0 : await this.#probe(service, soon));
    if (looked === 0 && !complete) return [];
    return [...this.#pending].flatMap(([field, asked]) => this.#noteOf(field, asked, looked));
  }

  /** The query without what narrows it: conditions, order, fields, part. */
  get #unnarrowed(): P2PQuery {
    const { native } = this.#query;
    return native ? { native } : {};
  }

  /** Whether the source declares all fields that a record can have. */
  async #askSchema(service: P2PDataTransferService, soon: AbortSignal): Promise<boolean> {
    try {
      const asking = service.schema?.(this.#unnarrowed, soon);
      const { fields } = (asking && (await unlessAborted(asking, soon))) ?? {};
      this.declared(fields?.names ?? []);
      return fields?.complete ?? false;
    } catch {
      return false;
    }
  }

  async #probe(service: P2PDataTransferService, soon: AbortSignal): Promise<number> {
    const query: P2PQuery = { ...this.#unnarrowed, limit: FIRST };
    const firstRecords = async () => {
      const options = { batchSize: FIRST, batchBytes: PROBE_BYTES, signal: soon };
      for await (const { records } of service.readFromSource(query, options)) if (records.length > 0) return records;
      return [];
    };
    try {
      const records = await unlessAborted(firstRecords(), soon);
      for (const record of records) this.#lookAt(record);
      return records.length;
    } catch {
      return 0;
    }
  }

  #noteOf(field: string, { places, absent }: AskedField, looked: number): string[] {
    const names = [...this.#names];
    const near = suggest(field, absent ? names.filter((name) => isOtherSpelling(name, field)) : names);
    if (absent && near === "") return [];
    const whose =
      looked === 0
        ? "The source declares no field"
        : looked === 1
          ? "The first record has no field"
          : `None of the first ${looked} records has a field`;
    return [
      `${whose} ${JSON.stringify(shownName(field))}, which ${[...places].join(" and ")} of the query names${near}`,
    ];
  }
}

/** Whether only a record that has the field meets the condition. */
function demands({ operator, value }: QueryCondition): boolean {
  switch (operator) {
    case "ne":
      return value === null;
    case "exists":
      return value === true;
    case "eq":
      return value !== null;
    case "in":
      return !(value as readonly unknown[]).includes(null);
    default:
      return true;
  }
}

function wantsAbsent({ operator, value }: QueryCondition): boolean {
  return operator === "exists" ? value === false : operator === "eq" && value === null;
}

/** `tag1` and `tag2` are two fields, of which one may well be absent; and any two very short names are near. */
function isOtherSpelling(name: string, field: string): boolean {
  return name.length > 2 && name.replace(/\d/g, "") !== field.replace(/\d/g, "");
}
