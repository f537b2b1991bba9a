export { STORE } from "./types.ts";
