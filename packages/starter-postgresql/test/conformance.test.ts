import { describeWithService } from "@omni/p2p-test-services/suite";
import { describeConformance } from "@omni/p2p-testkit";
import { literal, quote } from "../src/client/sql.ts";
import { postgresqlStarter } from "../src/index.ts";
import { Scratch } from "./support.ts";

/** A sidecar of the right form, with a field that no column has and whose text is no valid one: half of a surrogate pair. */
const BROKEN = '{"values":{"damaged":"\\ud800"}}';

describeWithService("postgresql", "postgresql", ({ url }) => {
  const scratch = new Scratch(url, "conformance");
  let schema: ReturnType<Scratch["schema"]> | undefined;
  let places = 0;
  describeConformance({
    name: "postgresql",
    starter: postgresqlStarter,
    createEndpoint: async () => {
      schema ??= scratch.schema();
      const scratchSchema = await schema;
      const table = `docs_${++places}`;
      return {
        endpoint: scratchSchema.endpoint(table),
        database: { endpoint: scratchSchema.endpoint(), name: table },
        breakRecord: async (id) => {
          const broken = `UPDATE ${quote(table)} SET "_p2p" = '${BROKEN}' WHERE "id" = '${String(id)}' RETURNING "id"`;
          const rows = await scratchSchema.sql(broken);
          if (rows.length !== 1) throw new Error(`${rows.length} rows have the id ${String(id)}`);
        },
        changeRecord: async (id) => {
          await scratchSchema.sql(`UPDATE ${quote(table)} SET "n" = "n" + 1 WHERE "id"::text = ${literal(String(id))}`);
        },
        deleteRecords: async (ids) => {
          const list = ids.map((id) => literal(String(id))).join(", ");
          await scratchSchema.sql(`DELETE FROM ${quote(table)} WHERE "id"::text IN (${list})`);
        },
        dispose: async () => {
          await scratchSchema.sql(`DROP TABLE IF EXISTS ${quote(table)}`);
        },
      };
    },
    timeoutMs: 120_000,
  });
});
