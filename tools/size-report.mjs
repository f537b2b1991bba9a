// `pnpm size`: what each built package weighs, as published and gzipped, and how many packages it brings along.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const packages = fileURLToPath(new URL("../packages", import.meta.url));
const kilobytes = (bytes) => `${(bytes / 1024).toFixed(1)} kB`;

console.table(
  readdirSync(packages).map((folder) => {
    const manifest = JSON.parse(readFileSync(join(packages, folder, "package.json"), "utf8"));
    const dist = join(packages, folder, "dist");
    const code = readdirSync(dist)
      .filter((file) => file.endsWith(".js"))
      .map((file) => readFileSync(join(dist, file)));
    return {
      package: manifest.name,
      code: kilobytes(code.reduce((sum, file) => sum + file.length, 0)),
      gzipped: kilobytes(code.reduce((sum, file) => sum + gzipSync(file).length, 0)),
      dependencies: Object.keys(manifest.dependencies ?? {}).join(", ") || "none",
    };
  }),
);
