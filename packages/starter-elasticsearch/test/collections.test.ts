import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type CollectionList, parseEndpoint } from "@omni/p2p-core/starter";
import { expect, onTestFinished, test } from "vitest";
import { elasticsearchStarter } from "../src/index.ts";

/** Lists a cluster that answers a question for its data streams by this. */
async function listWith(status: number, body: unknown): Promise<CollectionList> {
  const server = createServer(({ url = "" }, response) => {
    const streams = url.startsWith("/_data_stream");
    response.writeHead(streams ? status : 200, {
      "content-type": "application/vnd.elasticsearch+json;compatible-with=8",
      "x-elastic-product": "Elasticsearch",
    });
    response.end(JSON.stringify(streams ? body : url.startsWith("/_cat/indices") ? [{ index: "one" }] : []));
  }).listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  const endpoint = parseEndpoint(`elasticsearch://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const signal = new AbortController().signal;
  return elasticsearchStarter.collections!.list(endpoint, { role: "source", signal, connectTimeoutMs: 5000 });
}

const refusal = (status: number, type: string) => ({ error: { type, reason: "for a test" }, status });

test("data streams are listed, or there are none where the server does not know them or does not tell them", async () => {
  const names = async (status: number, body: unknown) =>
    (await listWith(status, body)).collections.map(({ name }) => name);
  expect(await names(200, { data_streams: [{ name: "logs" }] })).toEqual(["logs", "one"]);
  expect(await names(403, refusal(403, "security_exception"))).toEqual(["one"]);
  expect(await names(400, refusal(400, "illegal_argument_exception"))).toEqual(["one"]);
});

test("a cluster that cannot say for the moment which data streams it has does not lose them from the list", async () => {
  await expect(listWith(503, refusal(503, "cluster_block_exception"))).rejects.toThrow("cluster_block_exception");
  await expect(listWith(429, refusal(429, "es_rejected_execution_exception"))).rejects.toThrow("rejected");
});
