import type { RedisSettings } from "../endpoint.ts";
import type { RedisLink } from "./link.ts";

/** What reading works with. */
export interface RedisSource {
  readonly link: RedisLink;
  readonly settings: RedisSettings;
  readonly tellsExpiry: boolean;
}
