/** The schema of a starter's options, and its parser. */
import { P2PError } from "../errors.ts";
import { shownName, suggest } from "../suggest.ts";
import { type EndpointInfo, endpointLabel } from "./endpoint.ts";

/** One option of a starter, as data: enough to check it, to read it from a URL, and to document it. */
export interface OptionSpec {
  readonly type: "string" | "number" | "boolean" | "object";
  readonly description: string;
  /** What holds when it is not given. */
  readonly default?: string | number | boolean;
  /** The words allowed, for a `string`. */
  readonly values?: readonly string[];
  /** The bounds, for a `number`; whole numbers only unless `fraction` is set. */
  readonly min?: number;
  readonly max?: number;
  readonly fraction?: boolean;
}

/** All options of a starter by name. */
export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

type ValueOf<S extends OptionSpec> = S["type"] extends "number"
  ? number
  : S["type"] extends "boolean"
    ? boolean
    : S["type"] extends "object"
      ? Readonly<Record<string, unknown>>
      : S extends { readonly values: readonly (infer V)[] }
        ? V
        : string;

/** What {@link parseOptions} returns: options with a default are always there. */
export type OptionsOf<T extends OptionSpecs> = {
  readonly [K in keyof T as T[K] extends { readonly default: unknown } ? K : never]: ValueOf<T[K]>;
} & { readonly [K in keyof T as T[K] extends { readonly default: unknown } ? never : K]?: ValueOf<T[K]> };

/**
 * Reads a starter's options from an endpoint's metadata. Text from a URL is converted (`"500"`, `"true"`).
 * `description` and names that start with `x-` are the user's own and are let pass.
 *
 * @throws P2PError `INVALID_ENDPOINT` for an unknown name (with a suggestion), a wrong type or a value out of bounds.
 */
export function parseOptions<const T extends OptionSpecs>(specs: T, endpoint: EndpointInfo): OptionsOf<T> {
  const options: Record<string, unknown> = {};
  for (const [name, spec] of Object.entries(specs)) if (spec.default !== undefined) options[name] = spec.default;
  for (const [name, value] of Object.entries(endpoint.metadata ?? {})) {
    if (value === undefined || name === "description" || name.startsWith("x-")) continue;
    const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
    if (spec === undefined) {
      throw invalid(
        endpoint,
        `unknown option "${shownName(name)}"${suggest(name, Object.keys(specs))}. Known options: ${Object.keys(specs).join(", ")}`,
      );
    }
    options[name] = parseOption(endpoint, name, spec, value);
  }
  return options as OptionsOf<T>;
}

function parseOption(endpoint: EndpointInfo, name: string, spec: OptionSpec, value: unknown): unknown {
  switch (spec.type) {
    case "number": {
      const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
      if (typeof number !== "number" || !Number.isFinite(number) || (!spec.fraction && !Number.isInteger(number))) {
        throw invalid(endpoint, `option "${name}" must be a ${spec.fraction ? "number" : "whole number"}`);
      }
      if (number < (spec.min ?? -Infinity) || number > (spec.max ?? Infinity)) {
        throw invalid(
          endpoint,
          `option "${name}" must be from ${spec.min ?? "any number"} to ${spec.max ?? "any number"}`,
        );
      }
      return number;
    }
    case "boolean":
      if (value === true || value === "true" || value === "1") return true;
      if (value === false || value === "false" || value === "0") return false;
      throw invalid(endpoint, `option "${name}" must be true or false`);
    case "object":
      if (typeof value !== "object" || value === null) throw invalid(endpoint, `option "${name}" must be an object`);
      return value;
    case "string":
      if (typeof value !== "string") throw invalid(endpoint, `option "${name}" must be a string`);
      if (spec.values && !spec.values.includes(value)) {
        throw invalid(endpoint, `option "${name}" must be one of ${spec.values.join(", ")}`);
      }
      return value;
    default:
      throw invalid(
        endpoint,
        `option "${name}" is declared with the unknown type "${String(spec.type satisfies never)}"`,
      );
  }
}

function invalid(endpoint: EndpointInfo, what: string): P2PError {
  return new P2PError("INVALID_ENDPOINT", `Invalid endpoint ${endpointLabel(endpoint)}: ${what}`);
}
