/** How many bytes one byte can become, at most: three say 264. */
const MOST_TIMES = 88;

/**
 * Undoes the compression that Redis applies to longer strings in dumps.
 *
 * Source: LibLZF, `lzf_d.c`, by M. Lehmann.
 *
 * @throws RangeError when it is none.
 */
export function uncompressLzf(packed: Buffer, length: number): Buffer {
  if (length > packed.length * MOST_TIMES) throw new RangeError("the compressed string is too short");
  const out = Buffer.alloc(length);
  let to = 0;
  let from = 0;
  while (from < packed.length) {
    const control = packed[from++]!;
    if (control < 32) {
      const end = from + control + 1;
      if (end > packed.length || to + control + 1 > length) throw new RangeError("the compressed string is torn");
      to += packed.copy(out, to, from, end);
      from = end;
      continue;
    }
    let run = control >> 5;
    if (run === 7) run += packed[from++] ?? 0;
    const back = to - ((control & 0x1f) << 8) - (packed[from++] ?? 0) - 1;
    if (back < 0 || to + run + 2 > length) throw new RangeError("the compressed string is torn");
    // What is copied may be what this very run has written.
    for (let i = 0; i < run + 2; i++) out[to++] = out[back + i]!;
  }
  if (to !== length) throw new RangeError("the compressed string is torn");
  return out;
}
