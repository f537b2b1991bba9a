import {
  fromJson,
  type JsonValue,
  type P2PObject,
  type P2PValue,
  parseJson,
  setField,
  toJson,
} from "@omni/p2p-core/starter";

/**
 * The sidecar: what the columns of a row cannot say. In the table it is a column of type `json` with
 * `{"values":{…},"absent":[…]}`, or NULL when the columns say it all. `jsonb` would not keep U+0000.
 */
export interface Sidecar {
  /** Values by field, in the place of what the columns hold. */
  readonly values: P2PObject;
  /** Fields that are absent although their column stands before the sidecar, where NULL means null. */
  readonly absent: readonly string[];
}

/** Collects what the columns of one row cannot say. */
export class SidecarWriter {
  #values: Record<string, JsonValue> | undefined;
  #absent: string[] | undefined;

  /** Makes it empty, for the next row. */
  reset(): void {
    this.#values = undefined;
    this.#absent = undefined;
  }

  set(field: string, value: P2PValue): void {
    this.#values ??= {};
    setField(this.#values, field, toJson(value));
  }

  addAbsent(field: string): void {
    this.#absent ??= [];
    this.#absent.push(field);
  }

  /** The text for the column; `null` when there is nothing to say. */
  text(): string | null {
    if (this.#values === undefined && this.#absent === undefined) return null;
    return JSON.stringify({ values: this.#values, absent: this.#absent });
  }
}

/** Reads a sidecar. @throws when the text is none, or a value in it is no valid one. */
export function readSidecar(text: string): Sidecar {
  const parsed = parseJson(text);
  const { values = {}, absent = [] } = (isObject(parsed) ? parsed : {}) as { [part: string]: JsonValue };
  const read: Record<string, P2PValue> = {};
  if (isObject(values)) for (const field of Object.keys(values)) setField(read, field, fromJson(values[field]!));
  return {
    values: read,
    absent: Array.isArray(absent) ? absent.filter((field): field is string => typeof field === "string") : [],
  };
}

function isObject(value: JsonValue): value is { readonly [field: string]: JsonValue } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
