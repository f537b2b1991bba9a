/** Opening: from an endpoint to a store that has answered. */
import type { OpenContext } from "@omni/p2p-core/starter";
import type { PostgresqlEndpoint } from "../endpoint.ts";
import { Connector } from "./connect.ts";
import { PostgresqlStore } from "./store.ts";

/**
 * Connects to the database of an endpoint; a source is only read.
 *
 * @throws P2PError as `P2PStarter.open` does.
 */
export async function openStore(
  endpoint: PostgresqlEndpoint,
  { role, signal, connectTimeoutMs }: OpenContext,
): Promise<PostgresqlStore> {
  const driver = await import("pg");
  const connector = new Connector(driver, endpoint, connectTimeoutMs);
  return PostgresqlStore.open(connector, { readOnly: role === "source", lockTimeoutMs: connectTimeoutMs }, signal);
}
