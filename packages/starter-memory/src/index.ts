export { dropMemoryStore, type MemoryStore, memoryStore } from "./client/store.ts";
export { memoryStarter } from "./starter.ts";
