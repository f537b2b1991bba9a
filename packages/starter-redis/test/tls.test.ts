import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { afterAll, beforeAll, expect, it } from "vitest";
import { errorOf, openAt, readAll, writeAll } from "./opening.ts";
import { findServerProgram, type OwnServer, plainSettings, startOwnServer } from "./redis-server.ts";
import { closedPort } from "./tcp.ts";

const run = promisify(execFile);

describeWithService("redis", "TLS", async () => {
  const program = await findServerProgram();
  const openssl = await run("openssl", ["version"]).catch(() => undefined);
  if (program === undefined || openssl === undefined) {
    const reason = `there is no ${program === undefined ? "redis-server that the test could start" : "openssl"}`;
    console.info(`skipped TLS: ${reason}`);
    it.skip(reason, () => {});
    return;
  }
  let folder: string;
  let server: OwnServer;
  let port: number;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "p2p-tls-"));
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
    const files = ["-keyout", join(folder, "key.pem"), "-out", join(folder, "cert.pem")];
    await run("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", ...subject, ...files]);
    port = await closedPort();
    server = await startOwnServer(program, (plain, data) => [
      ...plainSettings(plain, data),
      ...["--tls-port", String(port), "--tls-auth-clients", "no"],
      ...["--tls-cert-file", join(folder, "cert.pem"), "--tls-key-file", join(folder, "key.pem")],
    ]);
  });
  afterAll(async () => {
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it("works with a certificate that is trusted, by a file or by options of Node", async () => {
    const ca = encodeURIComponent(join(folder, "cert.pem"));
    for (const open of [
      () => openAt(`rediss://localhost:${port}/?prefix=tls:&tlsCaFile=${ca}`),
      () => openAt(`redis://localhost:${port}/?prefix=tls:`, "target", { tlsCaFile: join(folder, "cert.pem") }),
      () => openAt(`rediss://localhost:${port}/?prefix=tls:`, "target", { tls: { rejectUnauthorized: false } }),
    ]) {
      const service = await open();
      await writeAll(service, [{ id: "a" }]);
      expect((await readAll(service)).records).toEqual([{ id: "a" }]);
      await service.close();
    }
  });

  it("a certificate that is not trusted, or of another host, is refused at once", async () => {
    const started = performance.now();
    const untrusted = await errorOf(openAt(`rediss://localhost:${port}`));
    expect(untrusted.code).toBe("CONNECTION_FAILED");
    expect(untrusted.message).toContain("tlsCaFile");
    const tlsCaFile = join(folder, "cert.pem");
    const stranger = await errorOf(openAt(`rediss://127.0.0.1:${port}`, "target", { tlsCaFile }));
    expect(stranger.code).toBe("CONNECTION_FAILED");
    expect(performance.now() - started).toBeLessThan(3000);
  });

  it("a plain connection to the TLS port fails, and the message speaks of TLS", async () => {
    const error = await errorOf(openAt(`redis://localhost:${port}`, "target", {}, 2000));
    expect(error.code).toBe("CONNECTION_FAILED");
    expect(error.message).toContain("wants TLS: write rediss://");
  });
});
