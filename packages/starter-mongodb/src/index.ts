export type { MongodbNativeQuery } from "./query/query.ts";
export { mongodbStarter } from "./starter.ts";
