/**
 * SipHash with 128 bits of output, a keyed pseudo-random function (J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input
 * PRF", INDOCRYPT 2012), by code generation of WebAssembly: JavaScript has no quick numbers of 64 bits.
 */

/** As much of WebAssembly as is used here; it belongs to no library of types that this package takes. */
interface WebAssemblyApi {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}

/** What the generated module exports. */
interface SipHashExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly begin: Exported;
  readonly absorb: Exported;
  readonly finish: Exported;
}

/** All are of one type, and only `absorb` looks at what it is given. */
type Exported = (from: number, to: number) => void;

/** Rounds for each word, and at the end. */
export interface SipHashRounds {
  readonly each: number;
  readonly last: number;
}

/**
 * SipHash-1-3, which is what hash tables of Rust, Python and Ruby are keyed with: nobody who lacks the key has been seen to tell it
 * from chance. SipHash-2-4 takes twice the time.
 */
const ROUNDS: SipHashRounds = { each: 1, last: 3 };

/** Places in the memory: the key, the 128 bits of output, the state, and from there on what is to be hashed. */
const KEY = 0;
const OUTPUT = 16;
const STATE = 32;
const INPUT = 64;

/** Pages of 64 KiB. */
const PAGES = 4;

/** Whether this process may have it: not with `--jitless`. */
export function hasSipHash(): boolean {
  return webAssembly() !== undefined;
}

function webAssembly(): WebAssemblyApi | undefined {
  return (globalThis as { WebAssembly?: WebAssemblyApi }).WebAssembly;
}

/** Hashes what is put into {@link bytes}, eight bytes at a time. */
export class SipHash {
  /** The memory. What is to be hashed goes in from {@link INPUT_AT} on. */
  readonly bytes: Buffer;
  readonly view: DataView;
  /** The hash, after {@link finish}. */
  readonly output: Uint32Array;
  readonly #exports: SipHashExports;

  /** @param key 16 bytes. */
  constructor(key: Uint8Array, rounds = ROUNDS) {
    const { Module, Instance } = webAssembly()!;
    this.#exports = new Instance(new Module(moduleOf(rounds))).exports as SipHashExports;
    const { buffer } = this.#exports.memory;
    this.bytes = Buffer.from(buffer);
    this.view = new DataView(buffer);
    this.output = new Uint32Array(buffer, OUTPUT, 4);
    this.bytes.set(key.subarray(0, 16), KEY);
  }

  begin(): void {
    this.#exports.begin(0, 0);
  }

  /** Takes in the words from {@link INPUT_AT} to a place, which is a multiple of eight and beyond it. */
  absorb(to: number): void {
    this.#exports.absorb(INPUT, to);
  }

  finish(): void {
    this.#exports.finish(0, 0);
  }
}

/** Where in the memory begins what is to be hashed. */
export const INPUT_AT = INPUT;

/** The end of the memory. */
export const INPUT_END = PAGES * 65_536;

// The instructions that are needed (WebAssembly Core Specification 1.0, section 5.4), and how numbers and lists are written.
const I32 = 0x7f;
const I64 = 0x7e;
const END = 0x0b;
const LOOP = [0x03, 0x40];
const AGAIN_IF = [0x0d, 0];
const LESS_I32 = 0x49;
const ADD_I32 = 0x6a;
const ADD = 0x7c;
const XOR = 0x85;
const ROTATE_LEFT = 0x89;
const get = (local: number) => [0x20, local];
const set = (local: number) => [0x21, local];
const i32 = (value: number) => [0x41, ...signed(BigInt(value))];
const i64 = (value: bigint) => [0x42, ...signed(BigInt.asIntN(64, value))];
const load = (at: number) => [0x29, 3, ...unsigned(at)];
const store = (at: number) => [0x37, 3, ...unsigned(at)];

/** LEB128. */
function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

function signed(value: bigint): number[] {
  const [low, rest] = [Number(value & 0x7fn), value >> 7n];
  const isLast = (rest === 0n && (low & 0x40) === 0) || (rest === -1n && (low & 0x40) !== 0);
  return isLast ? [low] : [low | 0x80, ...signed(rest)];
}

const list = (items: readonly (readonly number[])[]) => [...unsigned(items.length), ...items.flat()];
const section = (id: number, content: readonly number[]) => [id, ...unsigned(content.length), ...content];

/** The four words of the state are locals, after the two parameters of a function; then one for a word of the input. */
const V = [2, 3, 4, 5] as const;
const WORD = 6;

/** "somepseudorandomlygeneratedbytes", and what tells the output of 128 bits from that of 64. */
const INITIAL = [0x736f6d6570736575n, 0x646f72616e646f6dn ^ 0xeen, 0x6c7967656e657261n, 0x7465646279746573n];

/** `a += b; b = rotl(b, bits) ^ a` */
function half(a: number, b: number, bits: bigint): number[] {
  return [...get(a), ...get(b), ADD, ...set(a), ...get(b), ...i64(bits), ROTATE_LEFT, ...get(a), XOR, ...set(b)];
}

function rotated(local: number): number[] {
  return [...get(local), ...i64(32n), ROTATE_LEFT, ...set(local)];
}

function sipRounds(count: number): number[] {
  const [v0, v1, v2, v3] = V;
  const round = [
    ...half(v0, v1, 13n),
    ...rotated(v0),
    ...half(v2, v3, 16n),
    ...half(v0, v3, 21n),
    ...half(v2, v1, 17n),
    ...rotated(v2),
  ];
  return Array.from({ length: count }, () => round).flat();
}

/** `to ^= from`, where `from` has been put upon the stack. */
const xorInto = (local: number, from: readonly number[]) => [...get(local), ...from, XOR, ...set(local)];
const STATE_IN = V.flatMap((local, at) => [...i32(0), ...load(STATE + 8 * at), ...set(local)]);
const STATE_OUT = V.flatMap((local, at) => [...i32(0), ...get(local), ...store(STATE + 8 * at)]);

function beginCode(): number[] {
  return INITIAL.flatMap((word, at) => [
    ...i32(0),
    ...i32(0),
    ...load(KEY + 8 * (at % 2)),
    ...i64(word),
    XOR,
    ...store(STATE + 8 * at),
  ]);
}

function absorbCode(each: number): number[] {
  const [from, to] = [0, 1];
  const [v0, , , v3] = V;
  return [
    ...STATE_IN,
    ...LOOP,
    ...[...get(from), ...load(0), ...set(WORD)],
    ...xorInto(v3, get(WORD)),
    ...sipRounds(each),
    ...xorInto(v0, get(WORD)),
    ...[...get(from), ...i32(8), ADD_I32, ...set(from)],
    ...[...get(from), ...get(to), LESS_I32, ...AGAIN_IF],
    END,
    ...STATE_OUT,
  ];
}

function finishCode(last: number): number[] {
  const [v0, v1, v2, v3] = V;
  const output = (at: number) => [
    ...sipRounds(last),
    ...[...i32(0), ...get(v0), ...get(v1), XOR, ...get(v2), XOR, ...get(v3), XOR, ...store(at)],
  ];
  return [
    ...STATE_IN,
    ...xorInto(v2, i64(0xeen)),
    ...output(OUTPUT),
    ...xorInto(v1, i64(0xddn)),
    ...output(OUTPUT + 8),
  ];
}

function moduleOf({ each, last }: SipHashRounds): Uint8Array {
  const named = (name: string, kind: number, at: number) => [
    ...list([...Buffer.from(name)].map((byte) => [byte])),
    kind,
    at,
  ];
  const code = (instructions: readonly number[]) => {
    const body = [...list([[5, I64]]), ...instructions, END];
    return [...unsigned(body.length), ...body];
  };
  return new Uint8Array([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, list([[0x60, 2, I32, I32, 0]])),
    ...section(3, list([[0], [0], [0]])),
    ...section(5, list([[1, PAGES, PAGES]])),
    ...section(7, list([named("memory", 2, 0), named("begin", 0, 0), named("absorb", 0, 1), named("finish", 0, 2)])),
    ...section(10, list([code(beginCode()), code(absorbCode(each)), code(finishCode(last))])),
  ]);
}
