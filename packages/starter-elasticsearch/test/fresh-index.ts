import { randomUUID } from "node:crypto";

/** An index name that is nobody's yet, as an endpoint, and what removes it. */
export function freshIndex(serverUrl: string): {
  readonly index: string;
  readonly endpoint: string;
  /** The endpoint of the cluster alone. */
  readonly cluster: string;
  readonly dispose: () => Promise<void>;
} {
  const index = `p2p-test-${randomUUID()}`;
  const base = serverUrl.replace(/^http/, "elasticsearch+http").replace(/\/$/, "");
  return {
    index,
    endpoint: `${base}/${index}?replicas=0`,
    cluster: `${base}?replicas=0`,
    dispose: async () => void (await call(serverUrl, "DELETE", `/${index}`, undefined, [404])),
  };
}

/** Calls the server beside the starter, to prepare and to look. */
export async function call<T = unknown>(
  serverUrl: string,
  method: string,
  path: string,
  body?: unknown,
  accept: readonly number[] = [],
): Promise<T> {
  const response = await fetch(new URL(path, serverUrl), {
    method,
    ...(body === undefined
      ? {}
      : {
          headers: { "content-type": typeof body === "string" ? "application/x-ndjson" : "application/json" },
          body: typeof body === "string" ? body : JSON.stringify(body),
        }),
  });
  const text = await response.text();
  if (!response.ok && !accept.includes(response.status)) {
    throw new Error(`${method} ${path} answered ${response.status}: ${text.slice(0, 500)}`);
  }
  return (text.startsWith("{") || text.startsWith("[") ? JSON.parse(text) : text) as T;
}
