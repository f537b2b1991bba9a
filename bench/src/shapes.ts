/** What a column holds, and so what the stores make of it. */
export type Kind = "text" | "number" | "boolean" | "date";

/** A column of the measured table, beside its key `id`. */
export interface Column {
  readonly name: string;
  readonly kind: Kind;
  /** Its declared type in the source file. */
  readonly declared: string;
}

/** A kind of record that is measured. */
export interface Shape {
  readonly name: ShapeName;
  readonly columns: readonly Column[];
  /** The cells of the record with this number, in the order of the columns, as SQLite holds them. */
  cells(number: number, texts: readonly string[]): readonly unknown[];
}

/** The names of the shapes. */
export const SHAPE_NAMES = ["text", "wide"] as const;
export type ShapeName = (typeof SHAPE_NAMES)[number];

/** A record as the hand-written loops know it; its dates may be ISO 8601 text on their way. */
export type Row = Record<string, unknown> & { readonly id: string };

const DECLARED = { text: "TEXT", number: "NUMERIC", boolean: "BOOLEAN", date: "TIMESTAMP" } as const;

function columns(kind: Kind, names: string, declared: string = DECLARED[kind]): Column[] {
  return names.split(" ").map((name) => ({ name, kind, declared }));
}

/** About 600 bytes: a paragraph of real Markdown, with four small fields. */
const text: Shape = {
  name: "text",
  columns: [
    ...columns("text", "title body kind"),
    ...columns("number", "words", "INTEGER"),
    ...columns("number", "rank", "REAL"),
  ],
  cells(number, texts) {
    const body = texts[number % texts.length]!;
    return [body.slice(0, 40), body, number % 3 ? "knowledge" : "note", body.length >> 3, number / 7];
  },
};

/** Thirty small fields: ten texts, of which one is often null, fourteen numbers, four booleans and two dates. */
const wide: Shape = {
  name: "wide",
  columns: [
    ...columns("text", "name email city country phone language segment state origin note"),
    ...columns("number", "age visits orders points zip floor items returns", "INTEGER"),
    ...columns("number", "spent average rating latitude longitude discount", "REAL"),
    ...columns("boolean", "active verified subscribed blocked"),
    ...columns("date", "created updated"),
  ],
  cells(number, texts) {
    const words = texts[number % texts.length]!;
    const part = (at: number, length: number) => words.slice(at, at + length);
    const mix = (number * 2_654_435_761) % 4_294_967_296;
    return [
      ...[part(0, 16), `user${number}@example.org`, part(20, 10), part(40, 2), `+${mix}`, part(60, 2), part(70, 8)],
      ...[number % 4 ? "open" : "closed", part(80, 6), number % 3 ? null : part(90, 30)],
      ...[mix % 100, mix % 977, mix % 31, mix, number, mix % 12, mix % 7, mix % 3],
      ...[mix / 100, mix / 977, (mix % 50) / 10, mix / 47_721_858.4 - 45, mix / 23_860_929.2 - 90, number / 7],
      ...[mix & 1, (mix >> 1) & 1, (mix >> 2) & 1, (mix >> 3) & 1],
      ...[new Date(1.6e12 + number * 1000).toISOString(), new Date(1.7e12 + (mix % 1e9)).toISOString()],
    ];
  },
};

/** The shapes by name. */
export const SHAPES: Readonly<Record<ShapeName, Shape>> = { text, wide };
