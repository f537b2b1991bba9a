import { type Collection, MongoBulkWriteError, MongoClient } from "mongodb";
import { MONGODB_DATABASE } from "../places.ts";
import { type Loop, PAGE, readAhead } from "./loop.ts";
import { asDate, fields, writtenOut } from "./written-out.ts";

/** What the driver reads and writes. */
type Stored = { readonly _id: string } & Record<string, unknown>;

/** MongoDB by hand: a cursor with the next batch on its way, unordered inserts that replace what is there already. */
export const mongodbLoop: Loop<Stored> = {
  read: ({ server, name }) => readAhead(readPages(server, name)),
  async openWriter({ server, name }) {
    const client = await MongoClient.connect(server);
    const collection = client.db(MONGODB_DATABASE).collection<Stored>(name);
    return {
      // One is prepared while the other is being written; with more, they only wait for each other in the server.
      inFlight: 2,
      write: (page) => upsert(collection, page),
      close: () => client.close(),
    };
  },
  decode: (shape) => writtenOut("stored", `({ id: stored._id, ${fields(shape, ({ name }) => `stored.${name}`)} })`),
  encode: (shape) =>
    writtenOut(
      "row",
      `({ _id: row.id, ${fields(shape, ({ name, kind }) => (kind === "date" ? asDate(`row.${name}`) : `row.${name}`))} })`,
    ),
};

async function* readPages(server: string, name: string): AsyncGenerator<Stored[]> {
  const client = await MongoClient.connect(server);
  try {
    const cursor = client.db(MONGODB_DATABASE).collection<Stored>(name).find({}, { batchSize: PAGE });
    while (await cursor.hasNext()) yield cursor.readBufferedDocuments() as Stored[];
  } finally {
    await client.close();
  }
}

/** Inserts cost a fraction of upserts, which look for each document first; so those come only where inserts fail. */
async function upsert(collection: Collection<Stored>, page: readonly Stored[]): Promise<void> {
  try {
    await collection.insertMany(page, { ordered: false });
  } catch (error) {
    if (!(error instanceof MongoBulkWriteError)) throw error;
    const errors = [error.writeErrors].flat();
    if (errors.some(({ code }) => code !== 11_000)) throw error;
    await collection.bulkWrite(
      errors.map(({ index }) => {
        const document = page[index]!;
        return { replaceOne: { filter: { _id: document._id }, replacement: document, upsert: true } };
      }),
      { ordered: false },
    );
  }
}
