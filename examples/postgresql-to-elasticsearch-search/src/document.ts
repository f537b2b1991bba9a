import type { Transform } from "@omni/p2p-core";

/** Makes of a product what people search: its name and tags, and the values of its attributes as one text. */
export const toDocument: Transform = ({ id, name, price, tags, attributes, changed }) => ({
  id,
  name: name ?? null,
  price: Number(price),
  tags: tags ?? [],
  about: Object.values(attributes ?? {}).join(", "),
  changed: changed ?? null,
});
