export { jsonFilesStarter } from "./starter.ts";
