/** Point in time: pages of a search over an unchanging view, by `search_after`. */
import { type JsonValue, P2PError } from "@omni/p2p-core/starter";
import type { Sort } from "../client/dialect.ts";
import { refusalError } from "../client/errors.ts";
import type { Answer, Link } from "../client/link.ts";
import type { Clause } from "../query/clause.ts";
import type { SearchAnswer, SortValue } from "../values/decode.ts";
import { exactNumber } from "../values/precise-json.ts";

/** A place in an order: the sort values of a document. */
export interface Position {
  readonly values: readonly SortValue[];
  /** The view that the values are from; `undefined` when it is one of another process. */
  readonly view: number | undefined;
}

/** What is asked for in one page of a search. */
export interface PageRequest {
  readonly filter: Clause;
  readonly sort: Sort;
  readonly size: number;
  /** The last document that was read. */
  readonly after?: Position | undefined;
  /** Names of the fields that are wanted; all when it is undefined, and nothing of the document when it is false. */
  readonly source?: readonly string[] | false | undefined;
  /** Whether the numbers of the documents' last changes are wanted. */
  readonly changes?: boolean;
}

/** A page as it came. */
export interface Page {
  readonly answer: SearchAnswer;
  readonly text: string;
  readonly view: number;
  /** Documents that could have come, which may be fewer than were asked for. */
  readonly asked: number;
}

/** The server gives no more documents than this in one answer, unless the index says otherwise. */
export const MOST_HITS = 10_000;

const LOWER_LIMIT = /Result window is too large.*less than or equal to: \[(\d+)\]/s;

/** How often a view that the server has given up is opened anew for one page. */
const ATTEMPTS = 3;

/** Reads pages of one unchanging view of an index. When the server has given the view up, it opens another one. */
export class PointInTime {
  readonly #link: Link;
  readonly #index: string;
  readonly #keepAlive: string;
  #id: Promise<string> | undefined;
  #view = 0;
  #mostHits = MOST_HITS;
  /** Whether vectors are asked for by name, which servers before 9.2 give anyway and do not understand. */
  #vectors: boolean;

  constructor(link: Link, index: string, keepAliveMs: number, vectors: boolean) {
    this.#vectors = vectors;
    this.#link = link;
    this.#index = index;
    this.#keepAlive = `${keepAliveMs}ms`;
  }

  async page(request: PageRequest, signal: AbortSignal): Promise<Page> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const opening = this.#opened(signal);
      const id = await opening;
      const view = this.#view;
      // No filter_path: the server would take the documents apart to filter them, which costs it more than it saves.
      const query = { allow_partial_search_results: "false" };
      const asked = Math.min(request.size, this.#mostHits);
      const body = this.#body({ ...request, size: asked }, id);
      const search = { method: "POST", path: "/_search", query, body, accept: [400, 404] } as const;
      const answer = await this.#link.request(search, "read", signal);
      if (answer.status === 400 && this.#vectors && answer.refusal.cause?.reason.includes("exclude_vectors")) {
        this.#vectors = false;
        continue;
      }
      if (answer.status === 400) {
        this.#mostHits = this.#lowerLimit(answer, asked);
        continue;
      }
      if (answer.status === 404) {
        if (this.#id === opening) this.#id = undefined;
        continue;
      }
      const parsed = this.#link.parse<SearchAnswer>(answer.text, "read");
      // It was told to answer wholly or not at all; what a document is missing from says nothing of the document.
      if (parsed.timed_out === true || (parsed._shards?.failed ?? 0) > 0) {
        const what = `${this.#link.label} answered a search in part, because some of the index was not available in time`;
        throw new P2PError("BUSY", `${what}; try again, or see GET _cluster/health`, { retryable: true });
      }
      if (parsed.pit_id !== undefined && parsed.pit_id !== id) this.#id = Promise.resolve(parsed.pit_id);
      return { answer: parsed, text: answer.text, view, asked };
    }
    const advice = "raise pitKeepAliveMs, or see why the server drops its search contexts";
    throw new P2PError("READ_FAILED", `${this.#link.label} gave up what was being read; ${advice}`, {
      retryable: true,
    });
  }

  /** Gives the view back to the server, without waiting for it. */
  close(): void {
    const opened = this.#id;
    this.#id = undefined;
    void opened?.then(
      (id) => this.#link.tidy(this.#link.dialect.closeView(id)),
      () => {},
    );
  }

  /** The limit that an index has of its own, when that is what the server complains of. */
  #lowerLimit({ refusal }: Answer, asked: number): number {
    const limit = Number(LOWER_LIMIT.exec(refusal.cause?.reason ?? "")?.[1]);
    if (limit > 0 && limit < asked) return limit;
    throw refusalError(refusal, { label: this.#link.label, phase: "read" });
  }

  /** The view, which several pages may wait for at once. */
  #opened(signal: AbortSignal): Promise<string> {
    this.#id ??= this.#open(signal).catch((error: unknown) => {
      this.#id = undefined;
      throw error;
    });
    return this.#id;
  }

  async #open(signal: AbortSignal): Promise<string> {
    const { dialect } = this.#link;
    const opening = dialect.openView(this.#index, this.#keepAlive);
    const answer = await this.#link.json<Readonly<Record<string, unknown>>>(opening, "read", signal);
    this.#view++;
    return dialect.viewIn(answer);
  }

  #body({ filter, sort, size, after, source, changes }: PageRequest, id: string): string {
    return JSON.stringify({
      size,
      query: filter,
      sort,
      pit: { id, keep_alive: this.#keepAlive },
      track_total_hits: false,
      ...(after === undefined ? {} : { search_after: this.#valuesHere(after).map(sortJson) }),
      ...this.#wanted(source),
      ...(changes ? { seq_no_primary_term: true } : {}),
    });
  }

  #wanted(source: PageRequest["source"]): { readonly _source?: unknown } {
    if (source === false || !this.#vectors) return source === undefined ? {} : { _source: source };
    return { _source: { ...(source === undefined ? {} : { includes: source }), exclude_vectors: false } };
  }

  /**
   * In another view the documents of a shard have other places, but the shards have the same ones. Of one shard only
   * one document has the values before the place, so "the end of that shard" means the same position.
   */
  #valuesHere({ values, view }: Position): readonly SortValue[] {
    if (view === this.#view) return values;
    const shard = Math.floor(Number(values.at(-1)) / 2 ** 32);
    return [...values.slice(0, -1), shard * 2 ** 32 + (2 ** 31 - 1)];
  }
}

function sortJson(value: SortValue): unknown {
  return typeof value === "bigint" ? exactNumber(value) : (value as JsonValue);
}
