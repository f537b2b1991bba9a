import { type JsonValue, P2PError } from "@omni/p2p-core";
import type { Clause } from "./clause.ts";
import type { SearchAnswer, SortValue } from "./decode.ts";
import type { Link } from "./link.ts";
import { exactNumber } from "./precise-json.ts";

/** The order of a search, as the server takes it. */
export type Sort = readonly Readonly<Record<string, unknown>>[];

/**
 * What every order ends with. The number of a document's last change belongs to the document and tells apart those of
 * one shard; the place within the view tells apart the shards.
 */
export const TIE_BREAKERS: Sort = [{ _seq_no: "asc" }, { _shard_doc: "asc" }];

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
  readonly after: Position | undefined;
  /** Names of the fields that are wanted; all when it is undefined. */
  readonly source: readonly string[] | undefined;
}

/** A page as it came. */
export interface Page {
  readonly answer: SearchAnswer;
  readonly text: string;
  readonly view: number;
}

/** How often a view that the server has given up is opened anew for one page. */
const ATTEMPTS = 3;

/** Reads pages of one unchanging view of an index. When the server has given the view up, it opens another one. */
export class PointInTime {
  readonly #link: Link;
  readonly #index: string;
  readonly #keepAlive: string;
  #id: string | undefined;
  #view = 0;

  constructor(link: Link, index: string, keepAliveMs: number) {
    this.#link = link;
    this.#index = index;
    this.#keepAlive = `${keepAliveMs}ms`;
  }

  async page(request: PageRequest, signal: AbortSignal): Promise<Page> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      this.#id ??= await this.#open(signal);
      const query = {
        allow_partial_search_results: "false",
        filter_path: "pit_id,hits.hits._id,hits.hits._source,hits.hits.sort",
      };
      const body = this.#body(request, this.#id);
      const search = { method: "POST", path: "/_search", query, body, accept: [404] } as const;
      const answer = await this.#link.request(search, "read", signal);
      if (answer.status === 404) {
        this.#id = undefined;
        continue;
      }
      const page = { answer: this.#link.parse<SearchAnswer>(answer.text, "read"), text: answer.text, view: this.#view };
      this.#id = page.answer.pit_id ?? this.#id;
      return page;
    }
    const advice = "raise pitKeepAliveMs, or see why the server drops its search contexts";
    throw new P2PError("READ_FAILED", `${this.#link.label} gave up what was being read; ${advice}`, {
      retryable: true,
    });
  }

  /** Gives the view back to the server, without waiting for it. */
  close(): void {
    if (this.#id === undefined) return;
    void this.#link.tidy({ method: "DELETE", path: "/_pit", body: JSON.stringify({ id: this.#id }) });
    this.#id = undefined;
  }

  async #open(signal: AbortSignal): Promise<string> {
    const path = `/${encodeURIComponent(this.#index)}/_pit`;
    const query = { keep_alive: this.#keepAlive };
    const { id } = await this.#link.json<{ id: string }>({ method: "POST", path, query }, "read", signal);
    this.#view++;
    return id;
  }

  #body({ filter, sort, size, after, source }: PageRequest, id: string): string {
    return JSON.stringify({
      size,
      query: filter,
      sort,
      pit: { id, keep_alive: this.#keepAlive },
      track_total_hits: false,
      ...(after === undefined ? {} : { search_after: this.#valuesHere(after).map(sortJson) }),
      ...(source === undefined ? {} : { _source: source }),
    });
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
