/** Names of products that have a word in their name or text. */
export async function search(server: string, index: string, word: string): Promise<string[]> {
  const response = await fetch(`${server}/${index}/_search?q=${encodeURIComponent(word)}`);
  const { hits } = (await response.json()) as { hits: { hits: { _source: { name: string } }[] } };
  return hits.hits.map(({ _source }) => _source.name);
}
