/** The names of what is kept in Redis beside BullMQ's own keys. */
export interface EngineKeys {
  /** All transfers by the time of their submission. */
  readonly index: string;
  /** The limits of endpoints. */
  readonly limits: string;
  /** Workers that have nothing to do. */
  readonly idle: string;
  /** What a transfer is and where it stands. */
  transfer(id: string): string;
  /** The pieces of a transfer: query, claim, checkpoint and counts of each. */
  grains(id: string): string;
  /** Which pieces belong to which partition, and who runs it. */
  parts(id: string): string;
  /** The first failures. */
  errors(id: string): string;
  /** The dead letters of one piece. */
  letters(id: string, grain: number): string;
  /** The partitions that run at an endpoint. */
  slots(endpoint: string): string;
  /** The time to which an endpoint's rate is spent. */
  rate(endpoint: string): string;
}

/** @param prefix before all of them. */
export function engineKeys(prefix: string): EngineKeys {
  const key = (kind: string, ...names: (string | number)[]) =>
    [prefix, kind, ...names.map((name) => encodeURIComponent(name))].join(":");
  return {
    index: key("index"),
    limits: key("limits"),
    idle: key("idle"),
    transfer: (id) => key("transfer", id),
    grains: (id) => key("grains", id),
    parts: (id) => key("parts", id),
    errors: (id) => key("errors", id),
    letters: (id, grain) => key("letters", id, grain),
    slots: (endpoint) => key("slots", endpoint),
    rate: (endpoint) => key("rate", endpoint),
  };
}

/** The id of a job; BullMQ allows no colon in it. */
export function jobId(transfer: string, kind: string): string {
  return `${encodeURIComponent(transfer)}~${kind}`;
}
