/** Escapes what means something in a pattern of SCAN. */
export function escapeGlob(text: string): string {
  return text.replace(/[\\*?[\]]/g, "\\$&");
}
