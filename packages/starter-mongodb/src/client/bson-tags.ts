/** What BSON's other types are read as; they are written back as what they were, but for those in `READ_ONLY_TAGS`. */
export const BSON_TAGS: Readonly<Record<string, string>> = {
  objectId: "its 24 hexadecimal digits, in small letters",
  uuid: "its text, in small letters (binData of subtype 4)",
  binary: "`{ subtype, base64 }` (binData of all other subtypes)",
  decimal128: "its text, such as `12.50`",
  regex: "`{ pattern, options }`",
  timestamp: "`{ t, i }`",
  dbRef: "`{ $ref, $id, $db? }` and what else it has",
  code: "its text",
  codeWithScope: "`{ code, scope }`",
  symbol: "its text",
  minKey: "null",
  maxKey: "null",
  undefined: "null",
  dbPointer: "`{ namespace, id }`",
  date: "its milliseconds as text (a date that JavaScript cannot hold)",
};

/** Types that the driver cannot write: they become text in `{ _p2p }`. */
export const READ_ONLY_TAGS: ReadonlySet<string> = new Set(["undefined", "dbPointer", "date"]);
