export type { SqlValue } from "./client/sql.ts";
export type { SqliteNativeQuery } from "./query/native-query.ts";
export { sqliteStarter } from "./starter.ts";
