export type { RedisNativeQuery } from "./query/native-query.ts";
export { redisStarter } from "./starter.ts";
export { type RedisFormat, type RedisMapping, redisMapping } from "./types.ts";
