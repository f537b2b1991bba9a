import type { Transform } from "@omni/p2p-core";

/** Makes of an article what people search: text without marks, and a list of tags. */
export const toDocument: Transform = ({ id, title, tags, html, published }) => ({
  id,
  title: title ?? null,
  tags: String(tags ?? "")
    .split(",")
    .filter((tag) => tag !== ""),
  body: String(html ?? "")
    .replace(/<[^>]*>/g, " ")
    .replace(/\s+/g, " ")
    .trim(),
  published: published ?? null,
});
