export { postgresqlStarter } from "./starter.ts";
