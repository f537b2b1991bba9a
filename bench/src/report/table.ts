import type { Entry } from "../results.ts";

/** Prints what was measured. */
export function printTable(entries: readonly Entry[]): void {
  const two = (value: number | undefined) => (value === undefined ? "" : Number(value.toFixed(2)));
  console.table(
    entries.map(({ direction, shape, records, recordsPerSecond, ofLimit, timesUsual, timesElasticdump, growth }) => ({
      direction,
      shape,
      records: records.toLocaleString("en"),
      "records/s": recordsPerSecond.toLocaleString("en"),
      "of best loop": two(ofLimit),
      "x usual": two(timesUsual),
      "x elasticdump": two(timesElasticdump),
      grown: growth ? `x${growth.factor}` : "",
      "time/record": two(growth?.timePerRecord),
      "peak MB": growth ? `${Math.round(growth.peakMb)} -> ${Math.round(growth.peakMbGrown)}` : "",
      "loop's peak MB": growth?.limit ? Math.round(growth.limit.peakMbGrown) : "",
      "timer p99 ms": two(growth?.timerP99),
    })),
  );
}
