/** Leases in Elasticsearch: documents of a hidden index, taken by compare-and-set on their sequence numbers. */
import { type KeptLease, type LeaseKeeper, leaseRefusal, P2PError } from "@omni/p2p-core/starter";
import type { Link } from "./link.ts";

/** Hidden, so that no wildcard and no list has it among its indices. */
const LEASES = "omni-p2p-leases";

const SETTINGS = JSON.stringify({
  settings: { index: { hidden: true, number_of_shards: 1, auto_expand_replicas: "0-1" } },
  mappings: { enabled: false },
});

interface GetAnswer {
  readonly found?: boolean;
  /** The cluster tells no time, so that `until` is by the holder's clock, in ms since 1970. */
  readonly _source?: KeptLease;
  readonly _seq_no?: number;
  readonly _primary_term?: number;
}

const MOST_TRIES = 10;

/** @param place tells leases of one name in several indices apart. */
export function elasticsearchLeases(link: Link, place: string): LeaseKeeper {
  const pathOf = (name: string) => `/${LEASES}/_doc/${encodeURIComponent(`${name} ${place}`)}`;
  const get = async (name: string, signal: AbortSignal): Promise<GetAnswer & { readonly noIndex: boolean }> => {
    const answer = await link.request({ method: "GET", path: pathOf(name), accept: [404] }, "read", signal);
    const found = link.parse<GetAnswer>(answer.text, "read");
    return { ...found, noIndex: answer.status === 404 && found.found === undefined };
  };
  /** Whether nobody was quicker. */
  const put = async (name: string, lease: KeptLease, { _seq_no, _primary_term }: GetAnswer, signal: AbortSignal) => {
    const query =
      _seq_no === undefined
        ? { op_type: "create" }
        : { if_seq_no: String(_seq_no), if_primary_term: String(_primary_term) };
    const body = JSON.stringify(lease);
    const request = { method: "PUT", path: pathOf(name), query, body, accept: [409], repeatable: false } as const;
    return (await link.request(request, "write", signal)).status !== 409;
  };
  return {
    async take(request, signal) {
      const { name, run, owner, holder, ttlMs } = request;
      for (let tries = 0; tries < MOST_TRIES; tries++) {
        const there = await get(name, signal);
        if (there.noIndex) {
          // Another may have made it meanwhile.
          await link.request({ method: "PUT", path: `/${LEASES}`, body: SETTINGS, accept: [400] }, "write", signal);
        }
        const now = Date.now();
        const refusal = leaseRefusal(there.found === true ? there._source : undefined, request, now);
        if (refusal) return refusal;
        const lease = { run, owner, holder, until: now + ttlMs };
        if (await put(name, lease, there.found === true ? there : {}, signal)) return { held: true };
      }
      throw new P2PError("BUSY", `${link.label}: the lease is taken and let go all the time`, { retryable: true });
    },
    async release({ name, run }, signal) {
      const there = await get(name, signal);
      if (there.found !== true || there._source?.run !== run) return;
      const query = { if_seq_no: String(there._seq_no), if_primary_term: String(there._primary_term) };
      const request = { method: "DELETE", path: pathOf(name), query, accept: [404, 409] } as const;
      await link.request(request, "write", signal);
    },
  };
}
