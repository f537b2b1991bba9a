import { type EndpointInput, isP2PError, type P2PConnectionManager } from "@omni/p2p-core";
import fastify, { type FastifyInstance } from "fastify";
import { Transfers } from "./transfers.ts";

/** What the service moves records between. */
export interface ServiceOptions {
  readonly source: EndpointInput;
  readonly target: EndpointInput;
}

/**
 * A service that keeps one connection and starts transfers on it.
 *
 * - `GET /health`: 200 when both stores answer, else 503.
 * - `GET /statistics`: what the connection has done.
 * - `POST /transfers` with `{ type?, transferId? }`: 202 and the id; 409 while another transfer is under way.
 * - `GET /transfers/:id` and `DELETE /transfers/:id`: how it is getting on; stop it.
 *
 * Closing the service lets a transfer under way end, for ten seconds at most, and closes both stores.
 */
export async function buildApp(
  manager: P2PConnectionManager,
  { source, target }: ServiceOptions,
): Promise<FastifyInstance> {
  const { connectionId } = await manager.establish(source, target, { description: "service" });
  const transfers = new Transfers(manager, connectionId);
  const app = fastify();

  app.get("/health", async (_, reply) => {
    const healthy = await manager.isHealthy(connectionId);
    return reply.code(healthy ? 200 : 503).send({ healthy, status: manager.getConnection(connectionId)?.status });
  });

  app.get("/statistics", async () => manager.getConnectionStatistics(connectionId));

  app.post<{ Body: { type?: string; transferId?: string } }>(
    "/transfers",
    {
      schema: {
        body: {
          type: "object",
          properties: { type: { type: "string" }, transferId: { type: "string", minLength: 1, maxLength: 200 } },
          additionalProperties: false,
        },
      },
    },
    async ({ body: { type, transferId } }, reply) => {
      const id = transfers.start(type === undefined ? {} : { type }, transferId);
      if (id === undefined)
        return reply.code(409).send({ error: "A transfer is under way; try again when it has ended" });
      return reply.code(202).send({ transferId: id });
    },
  );

  app.get<{ Params: { id: string } }>("/transfers/:id", async ({ params }, reply) => {
    return transfers.state(params.id) ?? reply.code(404).send({ error: "There is no such transfer" });
  });

  app.delete<{ Params: { id: string } }>("/transfers/:id", async ({ params }, reply) => {
    return reply.code(transfers.stop(params.id) ? 202 : 404).send();
  });

  app.setErrorHandler((error, _, reply) => {
    // Messages of the library hold no secrets, so they may be shown.
    if (isP2PError(error)) return reply.code(500).send({ error: error.message, code: error.code });
    return reply.send(error);
  });

  app.addHook("onClose", () => manager.close());
  return app;
}
