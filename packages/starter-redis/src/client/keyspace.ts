import type { RedisEndpoint } from "../endpoint.ts";
import type { RedisLink } from "./link.ts";

/** The keys of an endpoint on a server that was reached: what reading and writing work with. */
export interface Keyspace {
  readonly link: RedisLink;
  readonly settings: RedisEndpoint;
  /** Whether the server tells the time of expiry itself (PEXPIRETIME, Redis 7) and not just what is left of it. */
  readonly tellsExpiry: boolean;
  /** Bytes that a value may have, at most. A larger one would make the server hang up. */
  readonly maxValueBytes: number;
}
