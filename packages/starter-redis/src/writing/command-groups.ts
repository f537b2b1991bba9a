/** Bytes in one command, about: a larger one would hold up the server for others. */
const COMMAND_BYTES = 4 * 1024 * 1024;
/** Records in one command. */
const COMMAND_RECORDS = 1000;

/** Groups of things in their order, each of a size for one command. */
export function grouped<T extends { readonly bytes: number }>(items: readonly T[]): T[][] {
  const groups: T[][] = [];
  let bytes = Infinity;
  for (const item of items) {
    bytes += item.bytes;
    if (bytes > COMMAND_BYTES || groups.at(-1)!.length >= COMMAND_RECORDS) {
      groups.push([]);
      bytes = item.bytes;
    }
    groups.at(-1)!.push(item);
  }
  return groups;
}
