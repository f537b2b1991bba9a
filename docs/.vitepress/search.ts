/**
 * Cuts a text into words for the search, Chinese too: its words are not parted by spaces. It is sent to the browser as
 * text, so it uses nothing from outside.
 */
export function searchWords(text: string): string[] {
  const words: string[] = [];
  const segmenter = new Intl.Segmenter("zh", { granularity: "word" });
  for (const part of text.split(/[\s\p{P}\p{Z}]+/u)) {
    if (!/\p{Script=Han}/u.test(part)) words.push(part);
    else for (const { segment } of segmenter.segment(part)) words.push(segment);
  }
  return words.filter((word) => word !== "");
}
