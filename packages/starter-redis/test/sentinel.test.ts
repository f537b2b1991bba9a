import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { JsonValue, P2PDataTransferService } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { afterAll, beforeAll, expect, it } from "vitest";
import { calm, errorOf, openAt, readAll, writeAll } from "./opening.ts";
import { findServerProgram, type OwnServer, plainSettings, startOwnServer, until } from "./redis-server.ts";

describeWithService("redis", "Redis Sentinel", async () => {
  const program = await findServerProgram();
  if (program === undefined) {
    console.info("skipped Redis Sentinel: there is no redis-server that the test could start");
    it.skip("there is no redis-server that the test could start", () => {});
    return;
  }
  let primary: OwnServer;
  let replica: OwnServer;
  let sentinel: OwnServer;
  let service: P2PDataTransferService;

  beforeAll(async () => {
    const secured = ["--requirepass", "right-s3cret", "--masterauth", "right-s3cret"];
    primary = await startOwnServer(
      program,
      (port, folder) => [...plainSettings(port, folder), ...secured],
      "right-s3cret",
    );
    replica = await startOwnServer(
      program,
      (port, folder) => [
        ...plainSettings(port, folder),
        ...secured,
        "--replicaof",
        `127.0.0.1 ${primary.port}`,
        "--repl-diskless-sync-delay",
        "0",
      ],
      "right-s3cret",
    );
    await until("a replica", async () => (await replica.client.info("replication")).includes("master_link_status:up"));
    sentinel = await startOwnServer(program, async (port, folder) => {
      const file = join(folder, "sentinel.conf");
      const lines = [
        `port ${port}`,
        "bind 127.0.0.1",
        `sentinel monitor main 127.0.0.1 ${primary.port} 1`,
        "sentinel auth-pass main right-s3cret",
        "sentinel down-after-milliseconds main 500",
        "sentinel failover-timeout main 2000",
      ];
      await writeFile(file, lines.join("\n"));
      return [file, "--sentinel"];
    });
    await until("Sentinel knows the replica", async () => {
      const replicas = (await sentinel.client.call("sentinel", "replicas", "main")) as unknown[];
      return replicas.length === 1;
    });
  });
  afterAll(async () => {
    await service?.close();
    for (const server of [sentinel, replica, primary]) await server?.stop();
  });

  const url = () => `redis://:right-s3cret@127.0.0.1:${sentinel.port}/2?sentinel=main&prefix=s:`;

  it("leads to the primary, also as one of several hosts", async () => {
    service = await openAt(url(), "target", {}, 3000);
    await writeAll(service, [{ id: "before" }]);
    await primary.client.select(2);
    expect(await primary.client.exists("s:before")).toBe(1);
    const several = `redis://:right-s3cret@127.0.0.1:1,127.0.0.1:${sentinel.port}/2?sentinel=main`;
    await (await openAt(several, "source")).close();
  });

  it("that does not know the name, or lets nobody in, says so", async () => {
    const unknown = await errorOf(openAt(url().replace("sentinel=main", "sentinel=other"), "target", {}, 2000));
    expect(["CONNECTION_FAILED", "TIMEOUT"]).toContain(unknown.code);
    const wrong = await errorOf(openAt(url().replace("right-s3cret", "wr0ng-s3cret"), "target", {}, 2000));
    expect(wrong.code).toBe("AUTHENTICATION_FAILED");
    expect(`${wrong.message}${String(wrong.cause)}`).not.toContain("wr0ng-s3cret");
  });

  it("leads to the new primary when the old one is lost", async () => {
    await until("the record has reached the replica", async () => {
      await replica.client.select(2);
      return (await replica.client.exists("s:before")) === 1;
    });
    const { changes } = service;
    const start = await changes!.now("f", calm());
    await primary.kill();
    const listen = async (after: JsonValue, id?: string) => {
      for await (const { refs } of changes!.read({ follower: "f", after, maxWaitMs: 50, signal: calm() })) {
        if (id !== undefined && refs.some((ref) => ref.id === id)) return;
      }
    };
    expect((await errorOf(listen(start))).code).toBe("CHANGES_LOST");
    await until("the write", async () => {
      const writing = writeAll(service, [{ id: "after" }]);
      return writing.then(
        () => true,
        (error) => {
          expect(error).toMatchObject({ retryable: true });
          return false;
        },
      );
    });
    expect((await readAll(service)).records).toEqual([{ id: "after" }, { id: "before" }]);
    expect(await replica.client.exists("s:after")).toBe(1);
    const anew = await changes!.now("f", calm());
    await replica.client.set("s:later", "{}");
    await listen(anew, "later");
    await service.ping(calm());
  });
});
