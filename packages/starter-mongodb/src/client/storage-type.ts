/** The storage type, which marks cursors and partitions. */
export const STORE = "mongodb";
