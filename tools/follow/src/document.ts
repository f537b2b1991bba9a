/** What the changed source holds: small documents, each with the number and the moment of its last change. */
export interface Document {
  readonly id: string;
  /** Counts the changes of the whole source, so that no two states of a document are equal. */
  readonly change: number;
  readonly text: string;
  /** When it was sent to the source, by this machine's clock: a value of a kind that stores keep in different forms. */
  readonly at: Date;
}

export function documentOf(id: string, change: number): Document {
  return { id, change, text: `change ${change} of ${id} `.repeat(1 + (change % 6)), at: new Date() };
}
