export type { PostgresqlNativeQuery } from "./query/native-query.ts";
export { postgresqlStarter } from "./starter.ts";
