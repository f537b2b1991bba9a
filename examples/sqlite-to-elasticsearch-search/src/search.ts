import { Client } from "@elastic/elasticsearch";

/** One article that was found. */
export interface Hit {
  readonly title: string;
  readonly score: number;
}

/** Finds articles by words in title and body; a word in the title counts three times as much. */
export async function search(node: string, index: string, words: string): Promise<Hit[]> {
  const client = new Client({ node });
  try {
    const { hits } = await client.search<{ title: string }>({
      index,
      query: { multi_match: { query: words, fields: ["title^3", "body", "tags"] } },
      size: 5,
    });
    return hits.hits.map(({ _source, _score }) => ({ title: _source!.title, score: _score ?? 0 }));
  } finally {
    await client.close();
  }
}
