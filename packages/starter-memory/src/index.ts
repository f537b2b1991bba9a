export { memoryStarter } from "./starter.ts";
export { dropMemoryStore, type MemoryStore, memoryStore } from "./store.ts";
