/** A place, taken apart for the store's own client. */
export interface PlaceParts {
  /** The URL of the server alone. */
  readonly server: string;
  /** Memory's store, MongoDB's collection, or a prefix of Redis. */
  readonly name: string;
  readonly database: string;
  readonly file: string;
  readonly table: string;
}

export function partsOf(place: string): PlaceParts {
  const [, file = "", table = ""] = /^sqlite:(.*)\?table=(.*)$/.exec(place) ?? [];
  const [, name = ""] = /^memory:([^?]*)/.exec(place) ?? [];
  if (file !== "" || name !== "") return { server: "", name, database: "", file, table };
  const url = new URL(place);
  const { searchParams } = url;
  const parts = {
    name: searchParams.get("collection") ?? searchParams.get("prefix") ?? "",
    database: url.pathname.slice(1),
    file: "",
    table: searchParams.get("table") ?? "",
  };
  if (searchParams.has("collection")) url.pathname = "/";
  for (const own of ["collection", "prefix", "table"]) searchParams.delete(own);
  return { server: url.href, ...parts };
}

/** The port that a place is at; `undefined` where it has no server. */
export function portOf(place: string): number | undefined {
  const port = /^[a-z]+:\/\/[^/?]*:(\d+)(?=[/?])/.exec(place)?.[1];
  return port === undefined ? undefined : Number(port);
}

/** The same place by way of another port. */
export function through(place: string, port: number): string {
  return place.replace(/:\d+(?=[/?])/, `:${port}`);
}
