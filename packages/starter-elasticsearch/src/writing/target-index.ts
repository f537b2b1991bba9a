import { isP2PError, P2PError, type P2PRecord, unlessAborted } from "@omni/p2p-core/starter";
import type { Link } from "../client/link.ts";
import { holdsDocumentsOf, needsOfIndex } from "../mapping/compatible-mapping.ts";
import {
  DEFAULT_FIELD_LIMIT,
  loadSchema,
  type MappingNeeds,
  type NewIndexSettings,
  needsOf,
  newIndexBody,
  propertiesWithin,
  settingsBody,
} from "../mapping/load-schema.ts";
import type { IndexSchema } from "../mapping/schema.ts";
import { templateFor } from "../mapping/templates.ts";
import { SIDECAR, SIDECAR_PROPERTY } from "../types.ts";
import { type DocumentEncoder, documentEncoder } from "../values/encode.ts";

/** How long what is known of an index is believed: somebody may delete it between two transfers. */
const BELIEVED_MS = 1000;

/** How often a mapping that changes under our hands is looked at anew. */
const ATTEMPTS = 5;

/** The index that is written to: made when it is missing, and given the fields that records bring. */
export class TargetIndex {
  readonly #link: Link;
  readonly #index: string;
  readonly #settings: NewIndexSettings;
  #schema: IndexSchema | undefined;
  #encoder: DocumentEncoder | undefined;
  #loadedAt = 0;
  /** Whether the mapping has no room for another field. */
  #full = false;
  /** Changes of the mapping are made one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(link: Link, index: string, settings: NewIndexSettings) {
    this.#link = link;
    this.#index = index;
    this.#settings = settings;
  }

  /**
   * Makes sure that there is an index; a new one has the fields of these records. Resolves with what makes documents of
   * records that have no other fields than the index.
   */
  async prepare(records: readonly P2PRecord[], signal: AbortSignal): Promise<DocumentEncoder> {
    if (!this.#isKnown()) await this.#inTurn(() => this.#bring(needsOf(records), signal), signal);
    return this.#encoder!;
  }

  /** Gives the index the fields of these records. Resolves with what makes documents of them. */
  async adapt(records: readonly P2PRecord[], signal: AbortSignal): Promise<DocumentEncoder> {
    const needs = needsOf(records);
    if (this.#lacks(needs)) await this.#inTurn(() => this.#bring(needs, signal), signal);
    return this.#encoder!;
  }

  /** Gives the index the fields of another one of ours. Resolves with whether the same documents mean the same in both. */
  async resemble(schema: IndexSchema, signal: AbortSignal): Promise<boolean> {
    const needs = needsOfIndex(schema);
    if (!this.#isKnown() || this.#lacks(needs)) await this.#inTurn(() => this.#bring(needs, signal), signal);
    return this.#schema !== undefined && holdsDocumentsOf(this.#schema, schema);
  }

  /**
   * Makes an index that is missing like the one that documents come from, with its types and analyzers. Where the cluster
   * does not take them, or has a template of its own for it, the index is made by the first records.
   */
  async resembleForeign({ origin }: IndexSchema, signal: AbortSignal): Promise<void> {
    if (origin === undefined || this.#isKnown()) return;
    await this.#inTurn(async () => {
      if (!this.#isKnown()) await this.#load(signal);
      if (this.#schema !== undefined || (await templateFor(this.#link, this.#index, signal)).mapped) return;
      const settings = { ...settingsBody(this.#settings, false), ...origin.settings };
      const body = JSON.stringify({ settings, mappings: origin.mapping });
      const path = `/${encodeURIComponent(this.#index)}`;
      await this.#link.request({ method: "PUT", path, body, accept: [400] }, "write", signal);
      await this.#load(signal);
    }, signal);
  }

  /**
   * Makes sure that the sidecar is in the mapping, where a field that is not would be refused or guessed at. Resolves with
   * the error of the records that need it when it cannot be added.
   */
  async prepareSidecar(signal: AbortSignal): Promise<P2PError | undefined> {
    if (this.#schema?.sidecar) return undefined;
    let trouble: P2PError | undefined;
    await this.#inTurn(async () => {
      if (this.#schema?.sidecar) return;
      const body = JSON.stringify({ properties: this.#link.dialect.properties({ [SIDECAR]: SIDECAR_PROPERTY }) });
      try {
        await this.#putMapping(body, signal);
      } catch (error) {
        // Where unknown fields are only kept, the sidecar is kept as well, and just not searched.
        if (this.#schema?.dynamic === "false" && isP2PError(error) && !error.retryable) return;
        if (!isP2PError(error) || error.retryable || error.code === "CLOSED") throw error;
        trouble = this.#noSidecar(error);
        return;
      }
      await this.#load(signal);
    }, signal);
    return trouble;
  }

  #noSidecar(cause: P2PError): P2PError {
    const what = `${this.#link.label} needs a field "${SIDECAR}" for what its mapping cannot say, and it could not be added`;
    return new P2PError(
      "TARGET_NOT_WRITABLE",
      `${what}; allow changes of the mapping, or add the field. ${cause.message}`,
      { cause },
    );
  }

  #isKnown(): boolean {
    return this.#schema !== undefined && performance.now() - this.#loadedAt < BELIEVED_MS;
  }

  #lacks(needs: MappingNeeds): boolean {
    return !this.#full && needs.newFields(this.#schema).size > 0;
  }

  async #bring(needs: MappingNeeds, signal: AbortSignal): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      if (!this.#isKnown()) await this.#load(signal);
      let refused = false;
      if (this.#schema === undefined) await this.#create(needs, signal);
      else if (!this.#lacks(needs)) return;
      else refused = !(await this.#addFields(needs, this.#schema, signal));
      await this.#load(signal);
      // What the server would not have as fields stays in the source alone, and is not tried again and again.
      if (refused && this.#lacks(needs)) this.#full = true;
      if (this.#schema !== undefined && !this.#lacks(needs)) return;
      if (attempt < ATTEMPTS) continue;
      const advice = "does another program change or delete the index at the same time?";
      throw new P2PError("WRITE_FAILED", `The mapping of ${this.#link.label} could not be made to fit; ${advice}`, {
        retryable: true,
      });
    }
  }

  async #create(needs: MappingNeeds, signal: AbortSignal): Promise<void> {
    const template = await templateFor(this.#link, this.#index, signal);
    // Types that a template gives are somebody's will, so such an index is like one that others made.
    const body = template.mapped
      ? JSON.stringify({ settings: settingsBody(this.#settings, template.sharded) })
      : newIndexBody(needs, this.#settings, this.#link.dialect, template);
    const path = `/${encodeURIComponent(this.#index)}`;
    // 400 is what one of two who make the index at once is told, and is for the next look at it to sort out.
    const answer = await this.#link.request({ method: "PUT", path, body, accept: [400] }, "write", signal);
    const cause = answer.refusal.cause;
    if (answer.status !== 400 || cause?.type === "resource_already_exists_exception") return;
    const code = cause?.type === "invalid_index_name_exception" ? "INVALID_ENDPOINT" : "TARGET_NOT_WRITABLE";
    const why = cause ? `${cause.type}: ${cause.reason}` : "no reason was given";
    throw new P2PError(code, `The index of ${this.#link.label} could not be made: ${why}`);
  }

  /** Whether the server took the fields that there is room for. */
  async #addFields(needs: MappingNeeds, schema: IndexSchema, signal: AbortSignal): Promise<boolean> {
    const fields = needs.newFields(schema);
    const room = (await this.#fieldLimit(signal)) - schema.size;
    const properties = propertiesWithin(fields, room);
    const count = Object.keys(properties).length;
    if (count < fields.size) this.#full = true;
    if (count === 0) return false;
    try {
      await this.#putMapping(JSON.stringify({ properties: this.#link.dialect.properties(properties) }), signal);
      return true;
    } catch (error) {
      // Another program gave a field another type, which the next look shows; or there is no room, or no privilege.
      if (!isP2PError(error) || error.retryable || error.code === "CLOSED") throw error;
      return false;
    }
  }

  async #putMapping(body: string, signal: AbortSignal): Promise<void> {
    const path = `/${encodeURIComponent(this.#index)}/_mapping`;
    await this.#link.request({ method: "PUT", path, body }, "write", signal);
  }

  async #fieldLimit(signal: AbortSignal): Promise<number> {
    const setting = "index.mapping.total_fields.limit";
    const path = `/${encodeURIComponent(this.#index)}/_settings/${setting}`;
    const answer = await this.#link.request(
      { method: "GET", path, query: { flat_settings: "true" }, accept: [400, 403, 404] },
      "write",
      signal,
    );
    if (answer.status >= 400) return DEFAULT_FIELD_LIMIT;
    const indices = this.#link.parse<Record<string, { settings?: Record<string, string> }>>(answer.text, "write");
    const limits = Object.values(indices).map(({ settings }) => Number(settings?.[setting] ?? DEFAULT_FIELD_LIMIT));
    return Math.min(DEFAULT_FIELD_LIMIT * 100, ...limits);
  }

  async #load(signal: AbortSignal): Promise<void> {
    this.#schema = await loadSchema(this.#link, this.#index, "write", signal);
    this.#loadedAt = performance.now();
    if (this.#schema === undefined) this.#full = false;
    else this.#encoder = documentEncoder(this.#schema);
  }

  #inTurn(work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {});
    return unlessAborted(done, signal);
  }
}
