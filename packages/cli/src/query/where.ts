import type { P2PCondition, P2PQuery } from "@omni/p2p-core";
import type { P2POperators } from "@omni/p2p-core/starter";
import { UsageError } from "../usage-error.ts";
import { parseList, parseText, parseValue } from "./value.ts";

type Where = NonNullable<P2PQuery["where"]>;

/** A field, a sign and the text of a value; a field with signs in its name stands in double quotes. */
const CONDITION = /^("(?:[^"\\]|\\.)*"\s*|[^=!<>^~"]+)(!=|>=|<=|\^=|==|=|>|<)(.*)$/s;

/** Longest condition, in characters: what a command line takes as one argument. */
const MAX_CONDITION = 131_072;

/** What may stand between a field and a value. */
type Sign = "=" | "==" | "!=" | "^=" | keyof typeof COMPARISONS;

const COMPARISONS = { ">": "gt", ">=": "gte", "<": "lt", "<=": "lte" } as const;

const FORMS =
  "field=value, field!=value, field>value, field>=value, field<value, field<=value, field^=start, field=[a,b], field=* or field!=*";

/**
 * Makes the `where` of a query from conditions as they are typed: `type=knowledge`, `age>=3`, `name^=abc`,
 * `status=[open,late]`, `title=*`. All of them must hold.
 */
export function parseWhere(conditions: readonly string[]): Where {
  const fields = new Map<string, Record<string, unknown>>();
  for (const condition of conditions) {
    const { field, operators } = parseCondition(condition);
    const known = fields.get(field) ?? {};
    for (const [operator, value] of Object.entries(operators)) {
      if (Object.hasOwn(known, operator)) {
        const way = operator === "eq" || operator === "in" ? `; for either of them write '${field}=[a,b]'` : "";
        throw new UsageError(`--where says twice what "${field}" must be ("${condition}" is the second time)${way}`);
      }
      known[operator] = value;
    }
    fields.set(field, known);
  }
  return Object.fromEntries([...fields].map(([field, operators]) => [field, toCondition(operators)]));
}

/** Equality is a plain value when it stands alone; beside others it is a list of one. */
function toCondition({ eq, ...others }: Record<string, unknown>): P2PCondition {
  if (eq === undefined) return others as P2POperators;
  if (Object.keys(others).length === 0) return eq as P2PCondition;
  if (others.in !== undefined) throw new UsageError("--where gives a value and a list for the same field; give one");
  return { ...others, in: [eq] } as P2POperators;
}

function parseCondition(text: string): { field: string; operators: Record<string, unknown> } {
  if (text.length > MAX_CONDITION) {
    throw new UsageError(`--where has a condition of ${text.length} characters; ${MAX_CONDITION} is the most`);
  }
  const match = CONDITION.exec(text.trim());
  if (!match) throw new UsageError(`--where "${text}" is not a condition; write ${FORMS}`);
  const [, left, sign, value] = match as unknown as [string, string, Sign, string];
  const name = left.trim();
  const field = name.startsWith('"') ? parseText(name, "a field's name") : name;
  if (field === "") throw new UsageError(`--where "${text}" names no field; write ${FORMS}`);
  return { field, operators: operatorsOf(sign, value.trim(), text) };
}

function operatorsOf(sign: Sign, value: string, text: string): Record<string, unknown> {
  switch (sign) {
    case "=":
    case "==":
      if (value === "*") return { exists: true };
      return value.startsWith("[") ? { in: parseList(value) } : { eq: parseValue(value) };
    case "!=":
      if (value === "*") return { exists: false };
      if (value.startsWith("[")) {
        throw new UsageError(`--where "${text}": no list can follow !=; give one condition for each value`);
      }
      return { ne: parseValue(value) };
    case "^=":
      return { prefix: parseText(value, "the start of a text") };
    case ">":
    case ">=":
    case "<":
    case "<=":
      return { [COMPARISONS[sign]]: parseValue(value) };
  }
}
