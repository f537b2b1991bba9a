import { buffer } from "node:stream/consumers";
import { StringDecoder } from "node:string_decoder";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import type { Client } from "@elastic/elasticsearch";
import { endsWithin, onAbort, P2PError, parseJson } from "@omni/p2p-core/starter";
import { type Dialect, ELASTICSEARCH, OPENSEARCH, openSearchIn } from "./dialect.ts";
import { clientError, refusalError, type Task } from "./errors.ts";
import type { LinkRequest } from "./request.ts";
import type { Phase, Refusal } from "./verdicts.ts";

/** What a server answered. */
export interface Answer {
  readonly status: number;
  /** The body as it came. */
  readonly text: string;
  readonly refusal: Refusal;
  /** The version of OpenSearch that it says to be from. */
  readonly openSearch: string | undefined;
}

interface StreamedAnswer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: AsyncIterable<Buffer>;
}

/** More than this is not held at once. A reader then asks for fewer documents. */
const LARGEST_ANSWER = 256 * 2 ** 20;

/** The longest wait for connections to end when a link is closed. */
const CLOSE_TIMEOUT_MS = 1000;

/** Tries after a first one into a connection that the server had closed, at most. */
const DEAD_CONNECTIONS = 3;

const unzip = promisify(gunzip);

/** The way to a cluster: requests with a time limit, signals that are heeded at once, and errors without secrets. */
export class Link {
  readonly label: string;
  readonly #client: Client;
  readonly #timeoutMs: number;
  readonly #inFlight = new Set<AbortController>();
  readonly #tidying = new Set<Promise<unknown>>();
  #closed: Promise<void> | undefined;
  #ended = false;
  #dialect = ELASTICSEARCH;
  /** The look at what answers, once something has that does not say that it is Elasticsearch. */
  #recognised: Promise<boolean> | undefined;

  constructor(label: string, client: Client, timeoutMs: number) {
    this.label = label;
    this.#client = client;
    this.#timeoutMs = timeoutMs;
  }

  /** What the server speaks, as far as it has answered yet. */
  get dialect(): Dialect {
    return this.#dialect;
  }

  /**
   * Sends a request and resolves with the answer. The body is not parsed.
   *
   * @throws the signal's reason, or a P2PError for what the server refused or did not answer.
   */
  async request(request: LinkRequest, phase: Phase, signal: AbortSignal): Promise<Answer> {
    signal.throwIfAborted();
    const task: Task = { label: this.label, phase };
    const controller = new AbortController();
    const abort = (): void => controller.abort();
    const timer = setTimeout(abort, this.#timeoutMs);
    const forget = onAbort(signal, abort);
    this.#inFlight.add(controller);
    try {
      const answer = await this.#sendKnown(request, controller.signal);
      if (answer.status < 400 || request.accept?.includes(answer.status)) return answer;
      throw refusalError(answer.refusal, task);
    } catch (error) {
      const timedOut = controller.signal.aborted;
      // Frees the socket of an answer whose body nobody is going to read.
      controller.abort();
      signal.throwIfAborted();
      if (this.#ended) throw new P2PError("CLOSED", `${this.label} was closed`);
      if (timedOut && !(error instanceof P2PError)) {
        const advice = "see the option requestTimeoutMs";
        throw new P2PError("TIMEOUT", `${this.label} did not answer within ${this.#timeoutMs} ms; ${advice}`, {
          retryable: true,
        });
      }
      throw clientError(error, task);
    } finally {
      clearTimeout(timer);
      forget();
      this.#inFlight.delete(controller);
    }
  }

  /**
   * Sends a request to a server that is known. OpenSearch is, once it has answered in a way that Elasticsearch does not;
   * a first request is sent to it once more, in its own terms.
   */
  async #sendKnown(request: LinkRequest, signal: AbortSignal): Promise<Answer> {
    const { dialect } = this;
    const answer = await this.#sendAlive(request, signal);
    if (answer.refusal.genuine || dialect === OPENSEARCH) return answer;
    if (answer.status >= 300 && answer.status !== 400 && answer.status !== 406) return answer;
    this.#recognised ??= this.#recognise(answer, signal).catch((error: unknown) => {
      this.#recognised = undefined;
      throw error;
    });
    if (await this.#recognised) return this.#sendAlive(request, signal);
    if (answer.status >= 300) return answer;
    throw new P2PError(
      "CONNECTION_FAILED",
      `What answers at ${this.label} is not Elasticsearch 8 or 9, nor OpenSearch; check host and port`,
    );
  }

  /** Whether it is an OpenSearch that answers, whose terms are then used. */
  async #recognise({ openSearch }: Answer, signal: AbortSignal): Promise<boolean> {
    const found = openSearchIn(openSearch) ?? openSearchIn(await this.#versionAtRoot(signal));
    if (found === undefined) return false;
    if (!found.known) {
      const what = `What answers at ${this.label} is OpenSearch ${found.version}, which cannot go on with a sorted read`;
      throw new P2PError("CONNECTION_FAILED", `${what}; use OpenSearch 3.3 or newer, or Elasticsearch 8 or 9`);
    }
    this.#dialect = OPENSEARCH;
    return true;
  }

  /** Servers that do not say in each answer what they are say it here, to those who may ask. */
  async #versionAtRoot(signal: AbortSignal): Promise<string | undefined> {
    const { status, text } = await this.#sendAlive({ method: "GET", path: "/" }, signal, OPENSEARCH);
    const { version } = status < 300 ? rootOf(text) : {};
    return version?.distribution === "opensearch" ? String(version.number) : undefined;
  }

  /** Sends a request again that went into a connection which the server had closed; the pool may hold several such. */
  async #sendAlive(request: LinkRequest, signal: AbortSignal, dialect: Dialect = this.#dialect): Promise<Answer> {
    for (let left = request.repeatable === false ? 0 : DEAD_CONNECTIONS; ; left--) {
      try {
        return await this.#send(request, signal, dialect);
      } catch (error) {
        if (left === 0 || !isDeadConnection(error)) throw error;
      }
    }
  }

  /** {@link request}, with the body parsed. */
  async json<T>(request: LinkRequest, phase: Phase, signal: AbortSignal): Promise<T> {
    const { text } = await this.request(request, phase, signal);
    return this.parse<T>(text, phase);
  }

  /** Parses the body of an answer. */
  parse<T>(text: string, phase: Phase): T {
    try {
      return parseJson(text) as T;
    } catch (cause) {
      const code = phase === "open" ? "CONNECTION_FAILED" : phase === "read" ? "READ_FAILED" : "WRITE_FAILED";
      throw new P2PError(
        code,
        `${this.label} answered with something that is not JSON; is it ${this.#dialect.product}?`,
        {
          cause,
        },
      );
    }
  }

  /** Sends a request whose outcome matters to nobody, such as giving back a point in time. */
  tidy(request: LinkRequest): Promise<void> {
    const done = this.request(request, "read", new AbortController().signal)
      .then(() => {})
      .catch(() => {})
      .finally(() => this.#tidying.delete(done));
    this.#tidying.add(done);
    return done;
  }

  /** Ends all requests and connections. May be called twice. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await endsWithin(Promise.all(this.#tidying), CLOSE_TIMEOUT_MS);
    this.#ended = true;
    for (const controller of this.#inFlight) controller.abort();
    await endsWithin(this.#client.close(), CLOSE_TIMEOUT_MS);
  }

  async #send(
    { method, path, query, body, lines, repeatable }: LinkRequest,
    signal: AbortSignal,
    dialect: Dialect,
  ): Promise<Answer> {
    const headers = {
      accept: dialect.json,
      ...(body === undefined ? {} : { "content-type": lines ? dialect.lines : dialect.json }),
    };
    const answer = (await this.#client.transport.request(
      { method, path, ...(query ? { querystring: { ...query } } : {}), ...(body === undefined ? {} : { body }) },
      {
        headers,
        signal,
        meta: true,
        // The body is taken as it comes: the client would parse it, and large whole numbers would lose digits.
        asStream: true,
        ...(repeatable === false ? { maxRetries: 0 } : {}),
      },
    )) as unknown as StreamedAnswer;
    const text = await readBody(answer, this.label);
    const openSearch = /^OpenSearch\/(\S+)/.exec(String(answer.headers["x-opensearch-version"]))?.[1];
    return { status: answer.statusCode, text, refusal: refusalOf(answer, text, dialect), openSearch };
  }
}

function isDeadConnection(error: unknown): boolean {
  if (!(error instanceof Error) || error.name !== "ConnectionError") return false;
  return /other side closed|ECONNRESET|EPIPE|socket hang up/.test(error.message);
}

async function readBody({ body, headers }: StreamedAnswer, label: string): Promise<string> {
  const chunks = bounded(body, label);
  if (headers["content-encoding"] === "gzip") return (await unzip(await buffer(chunks))).toString();
  // Each chunk becomes text as it comes. All of it at once would be text outside of V8's heap, where a few pages are
  // enough for V8 to look for garbage through all of the heap, with every record that a target in memory has.
  const decoder = new StringDecoder("utf8");
  const parts: string[] = [];
  for await (const chunk of chunks) parts.push(decoder.write(chunk));
  parts.push(decoder.end());
  return parts.join("");
}

async function* bounded(body: AsyncIterable<Buffer>, label: string): AsyncGenerator<Buffer> {
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > LARGEST_ANSWER) {
      throw new P2PError("RECORD_TOO_LARGE", `${label} answered with more than ${LARGEST_ANSWER} bytes at once`);
    }
    yield chunk;
  }
}

/** What a server says of itself at its root. */
interface RootJson {
  readonly version?: { readonly distribution?: unknown; readonly number?: unknown };
}

function rootOf(text: string): RootJson {
  try {
    return (parseJson(text) as RootJson | null) ?? {};
  } catch {
    return {};
  }
}

function refusalOf({ statusCode: status, headers }: StreamedAnswer, text: string, { product }: Dialect): Refusal {
  const genuine =
    // Not every version of it says in its answers what they are from, and by then it was recognised.
    product === "OpenSearch" || headers["x-elastic-product"] === "Elasticsearch";
  if (status < 400) return { status, cause: undefined, retryAfterMs: undefined, genuine };
  const seconds = Number(headers["retry-after"]);
  const retryAfterMs = Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : undefined;
  return { status, cause: reasonIn(text), retryAfterMs, genuine };
}

interface ErrorBody {
  readonly type?: unknown;
  readonly reason?: unknown;
  readonly root_cause?: readonly ErrorBody[];
  readonly caused_by?: ErrorBody;
}

function reasonIn(text: string): Refusal["cause"] {
  try {
    return reasonOf((JSON.parse(text) as { error?: ErrorBody }).error);
  } catch {
    return undefined;
  }
}

/** The reason that an error of the server gives, with the ones underneath that say more. */
export function reasonOf(error: ErrorBody | undefined): Refusal["cause"] {
  // "all shards failed" says nothing; what failed on the first of them does.
  const root = error?.root_cause?.[0];
  const told = error?.type === "search_phase_execution_exception" && root !== undefined ? root : error;
  if (typeof told?.type !== "string") return undefined;
  const reasons = [String(told.reason ?? "no reason was given")];
  for (let inner = told.caused_by, depth = 0; inner !== undefined && depth < 5; inner = inner.caused_by, depth++) {
    const reason = typeof inner.reason === "string" ? inner.reason : undefined;
    if (reason !== undefined && !reasons.some((said) => said.includes(reason))) reasons.push(reason);
  }
  return { type: told.type, reason: reasons.join(": ") };
}
