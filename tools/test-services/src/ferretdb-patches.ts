/** One change to FerretDB's own source, made in a copy before it is built. */
export interface Patch {
  /** Path below the module. */
  readonly file: string;
  /** What is wrong without it. */
  readonly why: string;
  readonly find: string;
  readonly replace: string;
}

/**
 * The faults of FerretDB 1.24.2 on SQLite that a bulk write cannot live with. What it merely lacks is not added: see
 * `ferretdbLacks`.
 */
export const ferretdbPatches: readonly Patch[] = [
  {
    file: "internal/handler/msg_update.go",
    why: `An update command keeps one cursor open for each of its statements, and with that one of its 100 connections to
      SQLite, until the command ends: one with 100 statements that match waits for a connection for ever.`,
    find: 'result, err := common.UpdateDocument(ctx, c, "update", iter, &u)\n',
    replace: 'result, err := common.UpdateDocument(ctx, c, "update", iter, &u)\n\t\tcloser.Close()\n',
  },
  {
    file: "internal/backends/sqlite/metadata/metadata.go",
    why: `The index on _id is made for the expression ->'_id' and asked for as ->'$._id'. They mean the same, but SQLite uses
      an index only for the same text, so every look-up and every update reads the whole collection.`,
    find: "IDColumn = DefaultColumn + \"->'$._id'\"",
    replace: "IDColumn = DefaultColumn + \"->'_id'\"",
  },
  {
    file: "internal/backends/sqlite/collection.go",
    why: "Only for a string or an ObjectId is the index on _id used at all, and integers are as usual there.",
    find: "case string, types.ObjectID:\n\t\t\twhereClause",
    replace: "case string, types.ObjectID, int32, int64:\n\t\t\twhereClause",
  },
];

/** Makes the change in the text of its file, and fails if the place is not there exactly once. */
export function applyPatch(text: string, { file, find, replace }: Patch): string {
  const parts = text.split(find);
  if (parts.length !== 2)
    throw new Error(`the place to change was found ${parts.length - 1} times in FerretDB's ${file}`);
  return parts.join(replace);
}
