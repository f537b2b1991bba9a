import { DEFAULT_PROGRESS_INTERVAL_MS } from "@omni/p2p-core/engine";

/** How often progress is told unless `--progress-interval` says otherwise, in ms, by where it goes. */
export const PROGRESS_INTERVALS_MS = {
  /** A line on a terminal that is drawn anew: as often as the core tells of it. */
  live: DEFAULT_PROGRESS_INTERVAL_MS,
  /** Lines of JSON. */
  json: 1000,
  /** Lines for logs and pipes. */
  plain: 5000,
} as const;
