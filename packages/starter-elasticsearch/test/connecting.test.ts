import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { expect, onTestFinished, test } from "vitest";
import { startProxy } from "./http-proxy.ts";
import { calm, open, read, rejection, testIndex, write } from "./opening.ts";

const SECRET = "s3cret-of-the-test";

interface TestCertificate {
  readonly key: string;
  readonly cert: string;
  readonly certFile: string;
  readonly fingerprint: string;
}

/** A certificate for 127.0.0.1, or `undefined` where there is no openssl to make it. */
async function certificate(): Promise<TestCertificate | undefined> {
  const folder = await mkdtemp(join(tmpdir(), "p2p-tls-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const [keyFile, certFile] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const run = promisify(execFile);
  const arguments_ = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-days",
    "2",
  ];
  const subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
  try {
    await run("openssl", [...arguments_, ...subject, "-keyout", keyFile, "-out", certFile]);
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return undefined;
    throw error;
  }
  const { stdout } = await run("openssl", ["x509", "-in", certFile, "-noout", "-fingerprint", "-sha256"]);
  const [key, cert] = [await readFile(keyFile, "utf8"), await readFile(certFile, "utf8")];
  return { key, cert, certFile, fingerprint: stdout.split("=")[1]!.trim() };
}

describeWithService("elasticsearch", "connecting", ({ url }) => {
  test("each kind of credentials goes out as it should, and none comes back in an error", async () => {
    const { index, endpoint } = testIndex(url);
    await write(await open(endpoint), [{ id: "a" }]);
    await using proxy = await startProxy(url);
    let sent: string | undefined;
    proxy.onRequest = ({ headers }) => {
      sent = headers.authorization;
    };
    const ways: Record<string, string> = {
      [`elasticsearch://ann:${SECRET}@127.0.0.1:${proxy.port}/${index}`]: `Basic ${btoa(`ann:${SECRET}`)}`,
      [`${proxy.endpoint}/${index}?apiKey=${SECRET}`]: `ApiKey ${SECRET}`,
      [`${proxy.endpoint}/${index}?bearer=${SECRET}`]: `Bearer ${SECRET}`,
    };
    for (const [place, header] of Object.entries(ways)) {
      proxy.answer = () => undefined;
      const source = await open(place, "source");
      expect(sent).toBe(header);
      proxy.answer = () => ({
        status: 401,
        body: {
          error: { type: "security_exception", reason: "unable to authenticate user [ann] for REST request [/]" },
        },
      });
      const errors = [
        await rejection(open(place, "source")),
        await rejection(open(place, "target")),
        await rejection(source.ping(calm())),
        await rejection(read(source)),
      ];
      for (const error of errors) {
        expect(error.code).toBe("AUTHENTICATION_FAILED");
        const all = `${error.message} ${error.stack} ${JSON.stringify(error)} ${JSON.stringify(error.cause)}`;
        expect(all).not.toContain(SECRET);
        expect(all).not.toContain(btoa(`ann:${SECRET}`));
      }
    }
  });

  test("one who may read the documents and nothing else can read them, with their types", async () => {
    const { index, endpoint } = testIndex(url);
    const records = [
      { id: "a", at: new Date(5), big: 2n ** 60n, tags: ["x"], title: "one", size: 1 },
      { id: "b", at: null, big: 5n, bytes: Uint8Array.of(1), title: "x".repeat(300), size: 2 },
    ];
    const writer = await open(endpoint);
    await write(writer, records);
    // Such a one cannot ask for a refresh either.
    await writer.close();
    await using proxy = await startProxy(url);
    const reason = {
      type: "security_exception",
      reason: "action [indices:admin/mappings/get] is unauthorized for user [reader]",
    };
    proxy.answer = ({ path }) =>
      /_mapping|_refresh|_nodes|^\/(\?|$)/.test(path)
        ? { status: 403, body: { error: reason, status: 403 } }
        : undefined;
    const source = await open(`${proxy.endpoint}/${index}`, "source");
    await source.ping(calm());
    expect(await read(source)).toEqual(records);
    expect(await read(source, { where: { title: "one" } })).toEqual([records[0]]);
    expect(await read(source, { orderBy: { field: "size", direction: "desc" } })).toEqual(records.toReversed());
    expect((await source.partitions({}, 2, calm())).length).toBeGreaterThan(0);
    // And one who may write documents, but not change mappings, can write to an index that has the fields.
    const target = await open(`${proxy.endpoint}/${index}`);
    expect(await write(target, [{ id: "c", title: "three" }])).toMatchObject({ written: 1 });
  });

  test("what answers and is not Elasticsearch is told so", async () => {
    await using proxy = await startProxy(url);
    const answers = [
      { status: 200, body: "<html>hello</html>", headers: { "content-type": "text/html" } },
      { status: 404, body: "not found", headers: { "content-type": "text/plain" } },
      { status: 200, body: { version: { number: "2.11.0", distribution: "opensearch" } } },
    ];
    for (const answer of answers) {
      proxy.answer = () => ({ ...answer, genuine: false });
      for (const role of ["source", "target"] as const) {
        const error = await rejection(open(`${proxy.endpoint}/docs`, role));
        expect(error.code).toBe("CONNECTION_FAILED");
        expect(error.message).toMatch(/is not Elasticsearch|is OpenSearch 2\.11\.0, .* use OpenSearch 3\.3/);
      }
    }
  });

  test("a server that stops answering is a timeout, and is found again when it answers", async () => {
    const { index, endpoint } = testIndex(url);
    await write(await open(endpoint), [{ id: "a" }]);
    await using proxy = await startProxy(url);
    const source = await open(`${proxy.endpoint}/${index}?requestTimeoutMs=300`, "source");
    proxy.silent = true;
    const started = performance.now();
    expect(await rejection(read(source))).toMatchObject({ code: "TIMEOUT", retryable: true });
    expect(await rejection(source.ping(calm()))).toMatchObject({ code: "TIMEOUT", retryable: true });
    expect(performance.now() - started).toBeLessThan(3000);
    proxy.silent = false;
    expect(await read(source)).toHaveLength(1);
  });

  test("a server that is gone is a lost connection, and is found again when it is back", async () => {
    const { index, endpoint } = testIndex(url);
    await write(await open(endpoint), [{ id: "a" }]);
    await using proxy = await startProxy(url);
    const source = await open(`${proxy.endpoint}/${index}`, "source");
    proxy.onRequest = () => proxy.cut();
    expect(await rejection(source.ping(calm()))).toMatchObject({ code: "CONNECTION_LOST", retryable: true });
    expect(await rejection(read(source))).toMatchObject({ code: "CONNECTION_LOST", retryable: true });
    proxy.onRequest = () => {};
    await source.ping(calm());
    expect(await read(source)).toHaveLength(1);
  });

  test("of several nodes one that is down is no trouble", async () => {
    const { index } = testIndex(url);
    const down = createServer().listen(0, "127.0.0.1");
    await once(down, "listening");
    const { port } = down.address() as AddressInfo;
    down.close();
    const target = await open(`elasticsearch://127.0.0.1:${port},${new URL(url).host}/${index}?replicas=0`);
    for (const id of ["a", "b", "c"]) expect(await write(target, [{ id }])).toMatchObject({ written: 1 });
    expect(await read(target)).toHaveLength(3);
  });

  test("TLS: the certificate's authority, its fingerprint, or no check at all", async (context) => {
    const made = await certificate();
    if (made === undefined) {
      console.info("not run: TLS (there is no openssl to make a certificate with)");
      return context.skip("there is no openssl to make a certificate with");
    }
    const { index, endpoint } = testIndex(url);
    await write(await open(endpoint), [{ id: "a" }]);
    await using proxy = await startProxy(url, made);
    const secure = `${proxy.endpoint}/${index}`;
    for (const option of [`caFile=${made.certFile}`, "rejectUnauthorized=false"]) {
      expect(await read(await open(`${secure}?${option}`, "source"))).toHaveLength(1);
    }
    const pinned = `${secure}?caFingerprint=${encodeURIComponent(made.fingerprint)}&rejectUnauthorized=false`;
    expect(await read(await open(pinned, "source"))).toHaveLength(1);
    for (const fingerprint of [made.fingerprint, made.fingerprint.replaceAll(":", "").toLowerCase()]) {
      const alone = `${secure}?caFingerprint=${encodeURIComponent(fingerprint)}`;
      expect(await read(await open(alone, "source"))).toHaveLength(1);
    }
    const wrong = `${secure}?caFingerprint=${"AA".repeat(32)}&rejectUnauthorized=false`;
    for (const [place, hint] of [
      [secure, "caFile"],
      [wrong, "caFingerprint"],
      [`${secure}?caFingerprint=${"AA".repeat(32)}`, "caFingerprint"],
      [secure.replace("+https", "+http"), "elasticsearch+https://"],
      [`elasticsearch+https://${new URL(url).host}/${index}`, "elasticsearch://"],
    ] as const) {
      const error = await rejection(open(place, "source"));
      expect(error.code, place).toBe("CONNECTION_FAILED");
      expect(error.message).toContain(hint);
    }
    const missing = await rejection(open(`${secure}?caFile=/no/such/file`, "source"));
    expect(missing.code).toBe("INVALID_ENDPOINT");
    expect(missing.message).toContain("caFile");
  });

  test("one who shows the authority's certificate beside a chain of their own is refused", async (context) => {
    const real = await certificate();
    if (real === undefined) return context.skip("there is no openssl here to make certificates with");
    const folder = await mkdtemp(join(tmpdir(), "p2p-tls-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const at = (name: string) => join(folder, name);
    const openssl = (...args: string[]) => promisify(execFile)("openssl", args);
    // An authority of the same name with another key signs the certificate that is shown.
    const fake = ["-subj", "/CN=127.0.0.1", "-newkey", "rsa:2048", "-nodes"];
    await openssl("req", "-x509", ...fake, "-keyout", at("fake.key"), "-out", at("fake.pem"));
    await openssl("req", ...fake.with(1, "/CN=impostor"), "-keyout", at("leaf.key"), "-out", at("leaf.csr"));
    await writeFile(at("leaf.ext"), "subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=none\n");
    const signer = ["-CA", at("fake.pem"), "-CAkey", at("fake.key"), "-CAcreateserial", "-extfile", at("leaf.ext")];
    await openssl("x509", "-req", "-in", at("leaf.csr"), ...signer, "-out", at("leaf.pem"));
    const [key, leaf] = [await readFile(at("leaf.key"), "utf8"), await readFile(at("leaf.pem"), "utf8")];
    await using proxy = await startProxy(url, { key, cert: `${leaf}${real.cert}` });
    let asked = 0;
    proxy.onRequest = () => asked++;
    const { index } = testIndex(url);
    const place = `${proxy.endpoint}/${index}?caFingerprint=${encodeURIComponent(real.fingerprint)}`;
    const error = await rejection(open(place));
    expect(error.code).toBe("CONNECTION_FAILED");
    expect(error.message).toContain("certificate");
    expect(asked).toBe(0);
  });
});
