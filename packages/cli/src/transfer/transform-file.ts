import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { Transform } from "@omni/p2p-core";
import { exportOf, loadModule } from "../modules/load-module.ts";
import { UsageError } from "../usage-error.ts";

/** A transform, and what tells it from others in a checkpoint. */
export interface LoadedTransform {
  readonly transform: Transform;
  readonly version: string;
  /** What the id of the transfer is made of: where it is, not what it says. */
  readonly place: string;
}

/**
 * Loads a transform from a module: its default export, or its export `transform`.
 *
 * @param folder what a relative path starts from.
 */
export async function loadTransform(file: string, folder = process.cwd()): Promise<LoadedTransform> {
  const path = resolve(folder, file);
  const exported = await loadModule(path, `The transform ${file}`);
  const transform = exportOf(exported, "transform");
  if (typeof transform !== "function") {
    const names = Object.keys(exported).filter((name) => name !== "default");
    const has =
      transform !== undefined
        ? `its export is a ${typeof transform}`
        : names.length > 0
          ? `it exports ${names.join(", ")}`
          : "it exports nothing";
    throw new UsageError(
      `The transform ${file} exports no function: ${has}`,
      "export default (record) => ({ ...record })",
    );
  }
  return { transform: transform as Transform, version: shortHash(await readFile(path)), place: file };
}

/** A transform that stands in a config file itself. */
export function inlineTransform(transform: Transform): LoadedTransform {
  return { transform, version: shortHash(String(transform)), place: "inline" };
}

/** Twelve hexadecimal digits that tell contents apart. */
export function shortHash(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex").slice(0, 12);
}
