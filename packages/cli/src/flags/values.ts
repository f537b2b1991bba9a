/**
 * Parses the values of flags as they are typed: numbers, durations, lists and maps of names. What is not right is told by
 * commander, which puts the flag's name before it.
 */
import { InvalidArgumentError } from "commander";

/** A flag that may be given several times: all of its values. */
export function collect(value: string, previous: string[] = []): string[] {
  // A new list each time would cost the square of their number. Without a default the first list is our own.
  previous.push(value);
  return previous;
}

/** Names separated by commas; the flag may be given several times. */
export function collectList(value: string, previous: string[] = []): string[] {
  for (const part of value.split(",")) {
    const name = part.trim();
    if (name === "") throw new InvalidArgumentError("It has an empty name in it.");
    previous.push(name);
  }
  return previous;
}

/** A map of names, one `<name>=<text>` at a time; the flag may be given several times. */
export function collectNamed(value: string, previous: Map<string, string> = new Map()): Map<string, string> {
  const at = value.indexOf("=");
  if (at < 1 || at === value.length - 1) throw new InvalidArgumentError("It must be <name>=<file>.");
  return previous.set(value.slice(0, at), value.slice(at + 1));
}

/** Fields and their types, `<field>=<type>` with commas between; the flag may be given several times. */
export function collectTypes(value: string, previous: Map<string, string> = new Map()): Map<string, string> {
  for (const part of value.split(",")) {
    const at = part.lastIndexOf("=");
    if (at < 1 || at === part.length - 1)
      throw new InvalidArgumentError("It must be <field>=<type>, such as released=date.");
    previous.set(part.slice(0, at).trim(), part.slice(at + 1).trim());
  }
  return previous;
}

/** A whole number, no smaller than `least`. */
export function wholeFrom(least: number): (value: string) => number {
  return (value) => {
    const number = /^\d+$/.test(value) ? Number(value) : Number.NaN;
    if (!Number.isSafeInteger(number) || number < least) {
      throw new InvalidArgumentError(`It must be a whole number from ${least} up.`);
    }
    return number;
  };
}

/** A whole number from 1 up, or the word `auto`. */
export function wholeOrAuto(value: string): number | "auto" {
  if (value === "auto") return value;
  if (/^0*[1-9]\d*$/.test(value)) return Number(value);
  throw new InvalidArgumentError('It must be "auto" or a whole number from 1 up.');
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** A duration as people write it (`500ms`, `30s`, `10m`, `2h`; a bare number is in ms), in ms. */
export function duration(value: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(value);
  if (!match) throw new InvalidArgumentError('It must be a time such as "500ms", "30s", "10m" or "2h".');
  return Math.round(Number(match[1]) * UNITS[match[2] ?? "ms"]!);
}

/** How far before a value of a field to begin: a duration, in ms, or a bare number in the units of the field, as it is. */
export function overlapFrom(value: string): number {
  return /^\d+(?:\.\d+)?$/.test(value) ? Number(value) : duration(value);
}
