/** Slots from the first to the second, both included. */
export type SlotRange = readonly [from: number, to: number];

/** The number of hash slots that Redis Cluster has. */
export const SLOT_COUNT = 16_384;

export const ALL_SLOTS: readonly SlotRange[] = [[0, SLOT_COUNT - 1]];

const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** The remainders of all bytes for CRC-16/XMODEM, the checksum that Redis Cluster prescribes. */
const CRC16 = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc;
});

/** The hash slot of a key: that of what stands in its first braces, if anything does. */
export function keySlot(key: Uint8Array): number {
  const open = key.indexOf(OPEN_BRACE);
  const close = open < 0 ? -1 : key.indexOf(CLOSE_BRACE, open + 1);
  const [from, to] = close > open + 1 ? [open + 1, close] : [0, key.length];
  let crc = 0;
  for (let i = from; i < to; i++) crc = ((crc << 8) & 0xffff) ^ CRC16[(crc >> 8) ^ key[i]!]!;
  return crc % SLOT_COUNT;
}

/** Whether a slot is in one of the ranges. */
export function inRanges(ranges: readonly SlotRange[], slot: number): boolean {
  return ranges.some(([from, to]) => slot >= from && slot <= to);
}

/** The slots for which `holds` is true, as ranges in order. */
export function rangesWhere(holds: (slot: number) => boolean): SlotRange[] {
  const ranges: [number, number][] = [];
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    if (!holds(slot)) continue;
    const last = ranges.at(-1);
    if (last?.[1] === slot - 1) last[1] = slot;
    else ranges.push([slot, slot]);
  }
  return ranges;
}

/** All slots but those of the ranges. */
export function otherSlots(ranges: readonly SlotRange[]): SlotRange[] {
  return rangesWhere((slot) => !inRanges(ranges, slot));
}

/** The slots of both, in order. */
export function unitedSlots(a: readonly SlotRange[], b: readonly SlotRange[]): SlotRange[] {
  return rangesWhere((slot) => inRanges(a, slot) || inRanges(b, slot));
}

/** All slots in equal parts. */
export function partedSlots(parts: number): SlotRange[] {
  const count = Math.min(parts, SLOT_COUNT);
  return Array.from({ length: count }, (_, i) => [
    Math.floor((i * SLOT_COUNT) / count),
    Math.floor(((i + 1) * SLOT_COUNT) / count) - 1,
  ]);
}
