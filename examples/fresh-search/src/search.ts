import { Client } from "@elastic/elasticsearch";

/** One product that was found. */
interface Hit {
  readonly name: string;
  readonly price: number;
}

/** Finds products by words in their names, the cheapest first. */
export async function search(node: string, index: string, words: string): Promise<string[]> {
  const client = new Client({ node });
  try {
    // Without it what was written is seen within a second, which is the index's refresh_interval.
    await client.indices.refresh({ index });
    const { hits } = await client.search<Hit>({ index, query: { match: { name: words } }, size: 10 });
    const found = hits.hits.map(({ _source }) => _source!);
    return found.sort((a, b) => a.price - b.price).map(({ name, price }) => `${name} (${price.toFixed(2)})`);
  } finally {
    await client.close();
  }
}
