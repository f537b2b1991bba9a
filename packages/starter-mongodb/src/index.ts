export type { MongodbNativeQuery } from "./query.ts";
export { mongodbStarter } from "./starter.ts";
