export type { SqliteNativeQuery } from "./native.ts";
export type { SqlValue } from "./sql.ts";
export { sqliteStarter } from "./starter.ts";
