// A typedoc plugin: modules are called by their packages and not by their folders.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Converter, ReflectionKind } from "typedoc";

export function load(app) {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, (context) => {
    for (const module of context.project.getReflectionsByKind(ReflectionKind.Module)) {
      const folder = module.name.replace(/\/src$/, "");
      const manifest = join(import.meta.dirname, "..", "packages", folder, "package.json");
      module.name = JSON.parse(readFileSync(manifest, "utf8")).name;
    }
  });
}
