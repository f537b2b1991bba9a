/** The engine's own Redis, where the jobs are. */
export const queue = process.env.QUEUE_URL ?? "redis://localhost:6379/1";

/** What the workers can open. Only they need the URLs, and the passwords in them. */
export const endpoints = {
  shop: "sqlite:./data/shop.db?table=orders",
  cache: process.env.CACHE_URL ?? "redis://localhost:6379/0?prefix=orders:",
};
