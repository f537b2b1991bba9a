/** What a record's field is called in the document; the other way round it is the same. */
export function documentField(field: string): string {
  if (field === "id") return "_id";
  return field === "_id" ? "id" : field;
}
