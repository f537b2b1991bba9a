import type { StoreIdentity } from "@omni/p2p-core/starter";
import type { Link } from "../client/link.ts";
import { loadSettings } from "../mapping/index-settings.ts";

/**
 * Which indices a name stands for at this moment, by the cluster and their own names, and by the ids that they were given
 * when they were made. A name that stands for nothing yet is the index that would be made.
 */
export async function identityOf(link: Link, index: string, signal: AbortSignal): Promise<StoreIdentity> {
  const root = { method: "GET", path: "/", query: { filter_path: "cluster_uuid" }, accept: [403] } as const;
  const [answer, settings] = await Promise.all([
    link.request(root, "read", signal),
    loadSettings(link, index, "read", signal),
  ]);
  const cluster =
    answer.status < 400 ? link.parse<{ cluster_uuid?: string }>(answer.text, "read").cluster_uuid : undefined;
  const indices = [...settings].sort(([a], [b]) => (a < b ? -1 : 1));
  const names = indices.length === 0 ? index : indices.map(([name]) => name).join(",");
  const uuids = indices.map(([, { uuid }]) => uuid);
  return {
    ...(cluster === undefined ? {} : { thing: `${cluster}/${names}` }),
    ...(uuids.length === 0 || uuids.includes(undefined) ? {} : { incarnation: uuids.join(",") }),
  };
}
