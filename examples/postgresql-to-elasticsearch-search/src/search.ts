import { Client } from "@elastic/elasticsearch";

/** One product that was found. */
export interface Hit {
  readonly name: string;
  readonly price: number;
}

/** Finds products by words in name, tags and attributes that cost no more than a price. */
export async function search(node: string, index: string, words: string, mostPrice: number): Promise<Hit[]> {
  const client = new Client({ node });
  try {
    const { hits } = await client.search<Hit>({
      index,
      query: {
        bool: {
          must: {
            multi_match: { query: words, fields: ["name^2", "tags", "about"], type: "cross_fields", operator: "and" },
          },
          filter: { range: { price: { lte: mostPrice } } },
        },
      },
      size: 5,
    });
    return hits.hits.map(({ _source }) => _source!);
  } finally {
    await client.close();
  }
}
