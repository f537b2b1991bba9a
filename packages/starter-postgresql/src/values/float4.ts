/** Floats of four bytes (`real`): which numbers of JavaScript come back from one. */

/** The least number that such a float holds with all its digits. */
const LEAST_NORMAL = 2 ** -126;

/** Whether such a float is this number, or the server writes it as this number. */
export function isFloat4(value: number): boolean {
  const single = Math.fround(value);
  if (Object.is(single, value)) return true;
  if (!Number.isFinite(single)) return false;
  // No two decimals of so few digits are one float, but near to zero.
  for (let digits = Math.abs(single) < LEAST_NORMAL ? 1 : 6; digits <= 9; digits++) {
    const nearest = Number(single.toPrecision(digits));
    if (Math.fround(nearest) !== single || isMidpoint(nearest)) continue;
    if (shortest(single, digits, nearest) === value) return true;
    // Floats below a power of two are nearer to it than those above, so that its shortest text need not be the nearest.
    return isPowerOfTwo(single) && Number(value.toPrecision(digits)) === value;
  }
  return false;
}

/** Of two decimals that are as near the server takes the even one, and JavaScript the larger one. */
function shortest(single: number, digits: number, nearest: number): number {
  const [mantissa, exponent] = single.toExponential(digits).split("e") as [string, string];
  const isTie = mantissa.endsWith("5") && Number(`${mantissa}e${exponent}`) === single;
  if (!isTie) return nearest;
  const smaller = mantissa.slice(0, -1);
  return /[02468]\.?$/.test(smaller) ? Number(`${smaller}e${exponent}`) : nearest;
}

const bits = new DataView(new ArrayBuffer(8));

/** Whether a number is as near to one such float as to the next: the server takes it for the text of neither. */
function isMidpoint(number: number): boolean {
  bits.setFloat64(0, number);
  // A float has 29 bits less than a number.
  return (bits.getUint32(4) & 0x1fff_ffff) === 0x1000_0000;
}

function isPowerOfTwo(single: number): boolean {
  return Math.log2(Math.abs(single)) % 1 === 0;
}
