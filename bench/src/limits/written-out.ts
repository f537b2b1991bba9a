import type { Column, Shape } from "../shapes.ts";

/**
 * Makes a function of an expression that names each field of a shape, as one would write it out by hand for the one
 * table at hand. A loop over the names costs more.
 */
export function writtenOut<From, To>(parameter: string, expression: string): (from: From) => To {
  return new Function(parameter, `return ${expression};`) as (from: From) => To;
}

/** The fields of an object literal, such as `id: cells[0], active: cells[5] === 1`. */
export function fields(shape: Shape, value: (column: Column, index: number) => string): string {
  return shape.columns.map((column, index) => `${column.name}: ${value(column, index)}`).join(", ");
}

/** A date as `Date`: loops pass it on as the text or the `Date` that the source gave them, whichever that was. */
export function asDate(value: string): string {
  return `typeof ${value} === "string" ? new Date(${value}) : ${value}`;
}

/** A date as ISO 8601 text. */
export function asText(value: string): string {
  return `typeof ${value} === "string" ? ${value} : ${value}.toISOString()`;
}
