import { fromJson, type JsonValue, type P2PObject, type P2PValue, setField, toJson } from "@omni/p2p-core";

/**
 * What the columns of a row cannot say. In the table it is JSON text, `{"values":{…},"absent":[…]}`, or NULL when the
 * columns say it all.
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

/** Reads a sidecar; `undefined` when the text is none, for instance because others wrote it. */
export function readSidecar(text: string): Sidecar | undefined {
  try {
    const { values = {}, absent = [] } = JSON.parse(text) as { values?: JsonValue; absent?: JsonValue };
    if (typeof values !== "object" || values === null || Array.isArray(values) || !Array.isArray(absent)) {
      return undefined;
    }
    const read: Record<string, P2PValue> = {};
    for (const field of Object.keys(values)) {
      setField(read, field, fromJson((values as { readonly [field: string]: JsonValue })[field]!));
    }
    return { values: read, absent: absent.filter((field) => typeof field === "string") };
  } catch {
    return undefined;
  }
}
