const NUMBER = new Intl.NumberFormat("en-US");

/** `12,345` */
export function formatCount(value: number): string {
  return NUMBER.format(Math.round(value));
}

/** `1 record`, `2 records` */
export function records(count: number): string {
  return `${formatCount(count)} ${count === 1 ? "record" : "records"}`;
}

/** `0.4 ms`, `850 ms`, `4.2 s`, `3m 20s`, `2h 05m` */
export function formatDuration(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m ${String(Math.floor(seconds % 60)).padStart(2, "0")}s`;
  return `${Math.floor(minutes / 60)}h ${String(minutes % 60).padStart(2, "0")}m`;
}

/** `86 MB` */
export function formatBytes(bytes: number): string {
  if (bytes < 1e6) return `${Math.round(bytes / 1e3)} kB`;
  if (bytes < 1e9) return `${Math.round(bytes / 1e6)} MB`;
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
