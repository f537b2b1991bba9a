/** A kind of hostile text, by its length in characters: a text may be a little shorter, never longer. */
export type Shape = readonly [name: string, make: (length: number) => string];

/** A piece as often as it fits. */
function repeat(piece: string, length: number): string {
  return piece.repeat(Math.max(0, Math.floor(length / piece.length)));
}

/** Different pieces, separated, between a head and a tail. */
function listed(piece: (index: number) => string, separator = ",", head = "", tail = ""): (length: number) => string {
  return (length) => {
    const pieces: string[] = [];
    let room = length - head.length - tail.length;
    for (let index = 0; ; index++) {
      const next = piece(index);
      room -= next.length + separator.length;
      if (room < 0) break;
      pieces.push(next);
    }
    return `${head}${pieces.join(separator)}${tail}`;
  };
}

/** One piece many times, between a head and a tail. */
function filled(piece: string, head = "", tail = ""): (length: number) => string {
  return (length) => `${head}${repeat(piece, length - head.length - tail.length)}${tail}`;
}

/** Texts on which parsers of every kind trip. */
export const COMMON_SHAPES: readonly Shape[] = [
  ["spaces", filled(" ")],
  ["spaces in between", filled(" ", "a", "b")],
  ["brackets", filled("[")],
  ["pairs of brackets", (length) => repeat("[", length / 2) + repeat("]", length / 2)],
  ["braces", filled("{")],
  ["quotes", filled('"')],
  ["backslashes", filled("\\", '"')],
  ["escaped quotes", filled('\\"', '"', '"')],
  ["digits", filled("9")],
  ["a number with a fraction", filled("9", "1.")],
  ["a long name", filled("a")],
  ["separators", filled("a,")],
  ["commas", filled(",")],
  ["options", filled("a=b&")],
  ["at signs", filled("@")],
  ["colons", filled("a:")],
  ["percent signs", filled("%")],
  ["variables left open", filled("${a")],
  ["nested objects", filled('{"a":')],
  ["names with escapes", filled('"\\n":1,', "{", '"a":1}')],
  ["a list of numbers", filled("1,", "[", "1]")],
  ["lines", filled("a: 1\n")],
  ["indented lines", filled("- \n ")],
  ["nesting again and again", filled(`${"[".repeat(50)}${"]".repeat(50)},`, "[", "1]")],
];

/** Endpoints as URLs. */
export const ENDPOINT_SHAPES: readonly Shape[] = [
  ["different options", listed((i) => `x-${i}=${i}`, "&", "sqlite:./a.db?")],
  ["secrets among options", listed((i) => `password${i}=x`, "&", "sqlite:./a.db?")],
  ["hosts", listed((i) => `h${i}:6379`, ",", "redis://", "/0")],
  ["hosts of an alias", listed((i) => `h${i}:5432`, ",", "postgres://u@", "/app?table=a")],
  ["IPv6 hosts", listed((i) => `[::${i.toString(16)}]:1`, ",", "redis://")],
  ["a bracket left open", filled(":", "redis://[")],
  ["escapes", filled("%41", "redis://u:", "@h")],
  ["a long path", filled("a/", "sqlite:")],
  ["a long scheme", filled("a.", "", "+tls://h")],
  ["a long protocol", filled("a+", "redis+", "://h")],
];

/** What a record, or any other value, is in tagged JSON. */
export const JSON_SHAPES: readonly Shape[] = [
  ["fields", listed((i) => `"f${i}":${i}`, ",", "{", "}")],
  ["one field again and again", filled('"a":1,', "{", '"a":1}')],
  ["fields with escapes", listed((i) => `"\\n${i}":${i}`, ",", "{", "}")],
  ["numbers as fields", listed((i) => `"${i * 7}":1`, ",", "{", "}")],
  ["dates", filled('{"$p2p":"date","value":"2024-01-31T00:00:00.000Z"},', "[", "1]")],
  ["bigints", filled(`{"$p2p":"bigint","value":"${"9".repeat(2000)}"},`, "[", "1]")],
  ["one long bigint", (length) => `{"$p2p":"bigint","value":"${"9".repeat(Math.min(20_000, length - 30))}"}`],
  ["numbers as tags", filled('{"$p2p":"number","value":"-0"},', "[", "1]")],
  ["a long number as a tag", filled("9", '{"$p2p":"number","value":"', '"}')],
  ["bytes", filled("AAAA", '{"$p2p":"bytes","value":"', '"}')],
  ["tags in tags", (length) => listed(() => tags(30), ",", "[", "]")(length)],
  ["entries", listed((i) => `["$p2p${i}",${i}]`, ",", '{"$p2p":"object","value":[', "]}")],
  ["text with escapes", filled("\\u0041\\n", '"', '"')],
];

function tags(depth: number): string {
  return [...Array(depth).fill('{"$p2p":"a:b","value":'), "1", ...Array(depth).fill("}")].join("");
}

/** Queries, as JSON. */
export const QUERY_SHAPES: readonly Shape[] = [
  ["conditions", listed((i) => `"f${i}":${i}`, ",", '{"where":{', "}}")],
  ["operators", listed((i) => `"f${i}":{"gte":1,"lt":9}`, ",", '{"where":{', "}}")],
  ["a list of values", listed((i) => `"v${i}"`, ",", '{"where":{"a":{"in":[', "]}}}")],
  ["one value again and again", filled('"v",', '{"where":{"a":{"in":[', '"v"]}}}')],
  ["fields", listed((i) => `"f${i}"`, ",", '{"fields":[', "]}")],
  ["one field again and again", filled('"a",', '{"fields":[', '"a"]}')],
  ["orders", listed((i) => `{"field":"f${i}"}`, ",", '{"orderBy":[', "]}")],
  ["a long name", filled("a", '{"where":{"', '":1}}')],
  ["a long value", filled("é", '{"where":{"a":{"prefix":"', '"}}}')],
  ["unknown keys", listed((i) => `"k${i}":1`, ",", "{", "}")],
  ["unknown operators", listed((i) => `"o${i}":1`, ",", '{"where":{"a":{', "}}}")],
  ["a native query", listed((i) => `"k${i}":[${i}]`, ",", '{"native":{"sqlite":{', "}}}")],
];

/** Conditions of `--where`. */
export const WHERE_SHAPES: readonly Shape[] = [
  ["a list of texts", listed((i) => `v${i}`, ",", "a=[", "]")],
  ["a list of quoted texts", listed((i) => `"v,${i}"`, ",", "a=[", "]")],
  ["a list of escapes", filled('"\\"",', "a=[", '""]')],
  ["a list of quotes left open", filled('"a,', "a=[", "]")],
  ["a quoted name", filled("\\\\", '"', '"=1')],
  ["a quoted name left open", filled("\\a", '"')],
  ["a name of spaces", filled(" ", "a", "=1")],
  ["signs", filled("=")],
  ["exclamation marks", filled("!", "a")],
  ["bytes", filled("AAAA", "a=bytes:")],
  ["bytes that are none", filled("AAAA", "a=bytes:", "!")],
  ["a date", filled("1", "a=date:2024-01-31T00:00:00.")],
  ["a number", filled("1", "a=1e")],
];

/** Config files as JSON. */
export const CONFIG_SHAPES: readonly Shape[] = [
  ["endpoints", listed((i) => `"e${i}":"sqlite:./a.db"`, ",", '{"endpoints":{', "}}")],
  ["transfers", listed(() => '{"source":"a","target":"b"}', ",", '{"transfers":[', "]}")],
  ["mistyped keys", listed((i) => `"enpoint${i}":1`, ",", "{", "}")],
  ["mistyped keys of transfers", listed(() => '{"sourec":"a","taget":"b"}', ",", '{"transfers":[', "]}")],
  [
    "settings that are none",
    listed(() => '{"source":"a","target":"b","config":{"batch":1}}', ",", '{"transfers":[', "]}"),
  ],
  [
    "a list of conditions",
    listed((i) => `"f${i}=1"`, ",", '{"transfers":[{"source":"a","target":"b","query":{"where":[', "]}}]}"),
  ],
  ["fields", listed((i) => `"f${i}"`, ",", '{"transfers":[{"source":"a","target":"b","query":{"fields":[', "]}}]}")],
  ["broken at its end", listed((i) => `"e${i}":"x"`, ",\n", '{"endpoints":{', "")],
];

/** Config files as YAML. */
export const YAML_SHAPES: readonly Shape[] = [
  ["keys", listed((i) => `k${i}: 1`, "\n", "endpoints:\n")],
  ["endpoints", listed((i) => `  e${i}: sqlite:./a.db`, "\n", "endpoints:\n")],
  ["keys between braces", listed((i) => `k${i}: a`, ",", "endpoints: {", "}")],
  ["keys that are complex", listed((i) => `? [${i}]\n: 1`, "\n")],
  ["one key again and again", filled("a: 1\n")],
  ["transfers", listed(() => "  - source: a\n    target: b", "\n", "transfers:\n")],
  ["items within items", filled("- ")],
  ["maps within maps", filled("a: {", "", "")],
  ["anchors and their aliases", listed((i) => `  e${i}: &a${i} x\n  f${i}: *a${i}`, "\n", "endpoints:\n")],
  ["aliases of one anchor", listed((i) => `  e${i}: *a`, "\n", "endpoints:\n  a: &a x\n")],
  ["aliases of aliases", listed((i) => `a${i + 1}: &a${i + 1} [*a${i},*a${i}]`, "\n", "a0: &a0 [x]\n")],
  [
    "merges",
    listed((i) => `  e${i + 1}: &e${i + 1}\n    <<: *e${i}\n    k${i}: 1`, "\n", "endpoints:\n  e0: &e0 {a: b}\n"),
  ],
  ["anchors within anchors", listed((i) => `&a${i} [`, "")],
  ["anchors alone", listed((i) => `- &a${i} x`, "\n")],
  ["documents", filled("---\na: 1\n")],
  ["comments", filled("# a\n")],
  ["comments behind a value", filled("  # a\n", "a: b\n")],
  ["a block of text", filled("  a\n", "a: |\n")],
  ["a folded block of text", filled("  a\n\n", "a: >\n")],
  ["a text over lines", filled("  b\n", "a: c\n")],
  ["a quoted text over lines", filled("  b\n", 'a: "c\n', '"')],
  ["a quoted text with escapes", filled("\\u0041", 'a: "', '"')],
  ["a quoted text of apostrophes", filled("''", "a: '", "'")],
  ["tags", filled("- !a b\n")],
  ["directives", filled("%TAG ! a\n")],
  ["tabs", filled("\t", "a:")],
  ["question marks", filled("? ")],
  ["deeper and deeper", deeper],
  ["numbers", filled("- 1e5\n")],
  ["broken lines", filled("a: b: c\n")],
];

/** Each line one space further in: of a text of n characters some √n levels. */
function deeper(length: number): string {
  let text = "";
  for (let depth = 0; text.length + depth + 3 < length; depth++) text += `${" ".repeat(depth)}a:\n`;
  return text;
}

/** Checkpoints. */
export const CHECKPOINT_SHAPES: readonly Shape[] = [
  ["parts", listed((i) => `"p${i}"`, ",", `${checkpointStart()}"cursor":null,"parts":[`, "]}")],
  [
    "witnesses",
    listed(
      (i) => `{"id":${i}}`,
      ",",
      `${checkpointStart()}"cursor":null,"stores":{"target":{},"source":{"witnesses":[`,
      "]}}}",
    ),
  ],
  ["a cursor with fields", listed((i) => `"f${i}":${i}`, ",", `${checkpointStart()}"cursor":{`, "}}")],
  ["names with escapes", listed((i) => `"\\n${i}":${i}`, ",", `${checkpointStart()}"cursor":{`, "}}")],
];

function checkpointStart(): string {
  const counts = '{"totalRecords":1,"successCount":1,"failureCount":0,"skippedCount":0,"retryCount":0}';
  return `{"version":1,"transferId":"fuzz","status":"running","identity":{},"recordsRead":1,"counts":${counts},"deadLetterPosition":null,`;
}

/** Files of dead letters. */
export const LETTER_SHAPES: readonly Shape[] = [
  ["letters", listed((i) => `{"phase":"write","record":{"id":${i},"a":"b"}}`, "\n")],
  ["letters of another phase", listed((i) => `{"phase":"transform","record":{"id":${i}}}`, "\n")],
  ["lines that are none", filled("a\n")],
  ["empty lines", filled("\n")],
  ["one line", filled("a", '{"phase":"write","record":{"id":1,"a":"', '"}}\n')],
  ["a record of fields", listed((i) => `"f${i}":${i}`, ",", '{"phase":"write","record":{"id":1,', "}}\n")],
];

/** Values of flags: lists and maps. */
export const LIST_SHAPES: readonly Shape[] = [
  ["names", listed((i) => `n${i}`, ",")],
  ["names between spaces", filled("  a  ,", "", "b")],
  ["a map", filled("=", "a", "b")],
  ["orders", filled(":desc", "a")],
];
