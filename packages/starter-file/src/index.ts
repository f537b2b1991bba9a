export { fileStarter } from "./starter.ts";
