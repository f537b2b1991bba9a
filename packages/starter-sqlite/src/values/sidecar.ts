import {
  fromJson,
  type JsonValue,
  type P2PObject,
  type P2PValue,
  parseJson,
  setField,
  toJson,
} from "@omni/p2p-core/starter";
import { isNotedType, type NotedType } from "./decode.ts";

/**
 * What the columns of a row cannot say. In the table it is JSON text, `{"values":{…},"absent":[…],"types":{…}}`, or NULL when the
 * columns say it all.
 */
export interface Sidecar {
  /** Values by field, in the place of what the columns hold. */
  readonly values: P2PObject;
  /** Fields that are absent although their column stands before the sidecar, where NULL means null. */
  readonly absent: readonly string[];
  /** Types by field, where the cell holds the value and the column does not tell its type. */
  readonly types: ReadonlyMap<string, NotedType>;
}

/** Collects what the columns of one row cannot say. */
export class SidecarWriter {
  #values: Record<string, JsonValue> | undefined;
  #absent: string[] | undefined;
  #types: Record<string, JsonValue> | undefined;

  /** Makes it empty, for the next row. */
  reset(): void {
    this.#values = undefined;
    this.#absent = undefined;
    this.#types = undefined;
  }

  set(field: string, value: P2PValue): void {
    this.#values ??= {};
    setField(this.#values, field, toJson(value));
  }

  setType(field: string, type: NotedType): void {
    this.#types ??= {};
    setField(this.#types, field, type);
  }

  addAbsent(field: string): void {
    this.#absent ??= [];
    this.#absent.push(field);
  }

  /** The text for the column; `null` when there is nothing to say. */
  text(): string | null {
    if (this.#values === undefined && this.#absent === undefined && this.#types === undefined) return null;
    return JSON.stringify({ values: this.#values, absent: this.#absent, types: this.#types });
  }
}

/** Reads a sidecar; `undefined` when the text is none, for instance because others wrote it. */
export function readSidecar(text: string): Sidecar | undefined {
  try {
    const { values = {}, absent = [], types = {} } = parseJson(text) as { [part: string]: JsonValue };
    if (!isObject(values) || !isObject(types) || !Array.isArray(absent)) return undefined;
    const read: Record<string, P2PValue> = {};
    for (const field of Object.keys(values)) {
      setField(read, field, fromJson(values[field]!));
    }
    const noted = new Map<string, NotedType>();
    for (const field of Object.keys(types)) {
      const type = types[field];
      if (isNotedType(type)) noted.set(field, type);
    }
    return { values: read, absent: absent.filter((field) => typeof field === "string"), types: noted };
  } catch {
    return undefined;
  }
}

function isObject(value: JsonValue): value is { readonly [field: string]: JsonValue } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
