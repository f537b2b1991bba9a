import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as client8 from "@elastic/elasticsearch";
import * as client9 from "@elastic/elasticsearch-9";
import { type P2PRecord, type P2PStarter, parseEndpoint } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { describe, expect, test } from "vitest";
import { type ClientModule, createClient } from "../src/client/client.ts";
import { parseElasticsearchEndpoint } from "../src/endpoint.ts";
import { starterWith } from "../src/starter.ts";
import { startProxy } from "./http-proxy.ts";
import { calm, open, read, rejection, testIndex, write } from "./opening.ts";

async function versionOf(name: string): Promise<string> {
  const file = join(import.meta.dirname, "../node_modules", name, "package.json");
  return (JSON.parse(await readFile(file, "utf8")) as { version: string }).version;
}

const CLIENTS: Readonly<Record<string, ClientModule>> = {
  [await versionOf("@elastic/elasticsearch")]: client8,
  [await versionOf("@elastic/elasticsearch-9")]: client9 as unknown as ClientModule,
};

describeWithService("elasticsearch", "the client", ({ url }) => {
  test("both major versions are tested", () => {
    expect(Object.keys(CLIENTS).map((version) => version.split(".")[0])).toEqual(["8", "9"]);
  });

  for (const [version, module] of Object.entries(CLIENTS)) {
    const starter: P2PStarter = starterWith(async () => module);

    test(`version ${version} does all that is asked of it`, async () => {
      const { index, endpoint } = testIndex(url);
      const records: P2PRecord[] = [
        { id: "a", n: 1, big: 2n ** 62n, at: new Date(0), tags: ["x"] },
        { id: "b", n: Number.NaN, big: 1n, at: null, "odd.name": Uint8Array.of(1) },
      ];
      const target = await open(endpoint, "target", { starter });
      expect(await write(target, records)).toMatchObject({ written: 2, failures: [] });
      const { failures } = await write(target, records, "insert");
      expect(failures.map(({ error }) => error.code)).toEqual(["DUPLICATE_ID", "DUPLICATE_ID"]);
      const source = await open(endpoint, "source", { starter });
      expect(await read(source, {}, { batchSize: 1 })).toEqual(records);
      expect(await read(source, { where: { n: 1 }, orderBy: "at" })).toEqual([records[0]]);
      expect(await source.count({}, calm())).toBe(2);
      await source.ping(calm());
      const missing = await rejection(open(endpoint.replace(index, `${index}-x`), "source", { starter }));
      expect(missing.code).toBe("SOURCE_NOT_FOUND");
    });

    test(`version ${version} tells its troubles`, async () => {
      const { index, endpoint } = testIndex(url);
      await write(await open(endpoint, "target", { starter }), [{ id: "a" }]);
      await using proxy = await startProxy(url);
      const place = `${proxy.endpoint}/${index}?requestTimeoutMs=300&compression=true`;
      const source = await open(place, "source", { starter });
      expect(await read(source)).toHaveLength(1);
      proxy.onRequest = () => proxy.cut();
      expect((await rejection(read(source))).code).toBe("CONNECTION_LOST");
      proxy.onRequest = () => {};
      proxy.silent = true;
      expect((await rejection(read(source))).code).toBe("TIMEOUT");
      expect((await rejection(open(place, "source", { starter, connectTimeoutMs: 200 }))).code).toBe("TIMEOUT");
      proxy.silent = false;
      proxy.answer = () => ({ status: 200, genuine: false });
      expect((await rejection(open(place, "source", { starter }))).code).toBe("CONNECTION_FAILED");
      const reason = { type: "media_type_header_exception", reason: "Invalid media-type value on headers [Accept]" };
      proxy.answer = () => ({ status: 400, body: { error: reason } });
      const unknown = await rejection(open(place, "source", { starter }));
      expect(unknown.code).toBe("CONNECTION_FAILED");
      expect(unknown.message).toContain("versions 8 and 9 are supported");
      const cloud = await rejection(open("elasticsearch:docs?cloudId=no-cloud-id", "source", { starter }));
      expect(cloud.code).toBe("INVALID_ENDPOINT");
    });
  }
});

describe("a cloud id", () => {
  test.each(Object.entries(CLIENTS))(
    "leads client %s to the deployment's host, by TLS and with the key",
    async (_, module) => {
      // A name, and in base64 the domain and the id of Elasticsearch in it:
      // https://www.elastic.co/guide/en/cloud/current/ec-cloud-id.html
      const cloudId = `search:${Buffer.from("eu-west-1.cloud.example:9243$abc123$def456").toString("base64")}`;
      const place = parseElasticsearchEndpoint(
        parseEndpoint({ storageType: "elasticsearch", database: "docs", metadata: { cloudId, apiKey: "a-key" } }),
      );
      const client = await createClient(place, 1000, module, new AbortController().signal);
      try {
        const [node] = client.connectionPool.connections;
        expect(node?.url.href).toBe("https://abc123.eu-west-1.cloud.example:9243/");
        expect(node?.headers.authorization).toBe("ApiKey a-key");
      } finally {
        await client.close();
      }
    },
  );
});
