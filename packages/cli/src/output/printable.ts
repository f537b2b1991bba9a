// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach a terminal
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/**
 * Text from a store or a server as a terminal may show it: what could move the cursor, recolour the screen or turn
 * the direction of writing is escaped.
 *
 * @param lines whether line breaks may stay.
 */
export function printable(text: string, lines = false): string {
  return text.replace(CONTROL, (character) => {
    if (lines && character === "\n") return character;
    const code = character.codePointAt(0)!;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}
