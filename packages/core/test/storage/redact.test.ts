import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { isSecretName, REDACTED, redactEndpoint, redactError } from "../../src/engine.ts";
import { type EndpointInfo, isP2PError, P2PError, parseEndpoint } from "../../src/index.ts";
import { redactText, secretsOf } from "../../src/starter.ts";

/** With everything in it that changes when it is escaped, encoded or quoted. */
const PASSWORD = 'pl@nted/s3cr3t "word"%+\\ü';
const USER = "planted-user";

const endpoint = (metadata: Record<string, unknown>): EndpointInfo => ({
  endpointId: "e",
  storageType: "redis",
  host: "h",
  metadata,
});

/** All that can be seen of a thing, hidden properties too. */
const everything = (thing: unknown): string =>
  inspect(thing, { depth: 20, showHidden: true, maxStringLength: null }) + JSON.stringify(thing);

describe("names of secrets", () => {
  it.each([
    ..."password Password sentinelPassword passwd pass pwd passphrase keyPassphrase secret clientSecret secretAccessKey".split(
      " ",
    ),
    ..."credential credentials token accessToken access_token auth authorization Authorization proxyAuthorization".split(
      " ",
    ),
    ..."bearer apiKey api_key api-key accessKey access_key accessKeyId privateKey private_key keyFile username user userinfo pfx".split(
      " ",
    ),
    "tlsCertificateKeyFilePassword",
  ])("%s", (name) => {
    expect(isSecretName(name)).toBe(true);
  });

  it.each(
    "table key keys collection authSource authMechanism index tokenizer protocol hosts cloudId primaryKey description passive".split(
      " ",
    ),
  )("not %s", (name) => {
    expect(isSecretName(name)).toBe(false);
  });
});

describe("a redacted endpoint", () => {
  it("shows its options and none of its secrets", () => {
    const given = endpoint({
      table: "docs",
      username: USER,
      password: PASSWORD,
      retries: 3,
      node: "https://planted-user:p@ss-planted@es.example:9200/x",
      tls: {
        ca: "PEM",
        passphrase: PASSWORD,
        key: "-----BEGIN RSA PRIVATE KEY-----\nplanted\n-----END RSA PRIVATE KEY-----",
      },
      list: [{ token: PASSWORD }, "http://planted@x"],
      empty: undefined,
    });
    expect(redactEndpoint(given)).toEqual({
      endpointId: "e",
      storageType: "redis",
      host: "h",
      metadata: {
        table: "docs",
        username: REDACTED,
        password: REDACTED,
        retries: 3,
        node: `https://${REDACTED}@es.example:9200/x`,
        tls: { ca: "PEM", passphrase: REDACTED, key: REDACTED },
        list: [{ token: REDACTED }, `http://${REDACTED}@x`],
        empty: undefined,
      },
    });
    expect((given.metadata as { password: string }).password).toBe(PASSWORD);
  });

  it("shows nothing of URLs, buffers, clients and what has no prototype", () => {
    class Client {
      options = { password: PASSWORD };
    }
    const given = endpoint({
      node: new URL("https://planted:planted2@h/x"),
      key: Buffer.from("planted"),
      client: new Client(),
      bare: Object.assign(Object.create(null), { password: PASSWORD, db: 1 }),
      map: new Map([["password", PASSWORD]]),
    });
    const shown = redactEndpoint(given);
    expect(everything(shown)).not.toMatch(/planted|706c616e746564/);
    expect(shown.metadata).toMatchObject({ client: "[Client]", map: "[Map]", bare: { db: 1 } });
  });

  it("is made of endless metadata too", () => {
    const circle: Record<string, unknown> = { password: PASSWORD };
    circle.self = circle;
    expect(everything(redactEndpoint(endpoint(circle)))).not.toContain("s3cr3t");
    expect(secretsOf(endpoint(circle))).toContain(PASSWORD);
  });

  it("hides userinfo in its name", () => {
    expect(redactEndpoint({ endpointId: `redis://u:${"planted"}@h`, storageType: "redis" }).endpointId).toBe(
      `redis://${REDACTED}@h`,
    );
  });
});

describe("redacted text", () => {
  const secrets = secretsOf(endpoint({ username: USER, password: PASSWORD }));
  const json = JSON.stringify({ password: PASSWORD, at: new Date(0) });

  it.each([
    ["as it is", `wrong password ${PASSWORD} for ${USER}`],
    ["percent-encoded", `GET /?p=${encodeURIComponent(PASSWORD)}`],
    ["as a form", `body ${new URLSearchParams({ p: PASSWORD })}`],
    ["in JSON", `sent ${json}`],
    ["base64", `header ${Buffer.from(PASSWORD).toString("base64")}`],
    ["base64 without padding", `header ${Buffer.from(PASSWORD).toString("base64").replace(/=+$/, "")}`],
    ["basic authentication", `Authorization: Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString("base64")}`],
    ["in a URL", `connect redis://${USER}:${encodeURIComponent(PASSWORD)}@h:6379`],
    ["in a URL as it is", `connect redis://${USER}:p@ss-s3cr3t@h:6379`],
  ])("hides a secret %s", (_, text) => {
    const clean = redactText(text, secrets);
    expect(clean).toContain(REDACTED);
    expect(clean).not.toMatch(/s3cr3t|planted-user/);
    expect(clean).not.toContain(Buffer.from(PASSWORD).toString("base64").slice(0, 12));
    expect(clean).not.toContain(Buffer.from(`${USER}:${PASSWORD}`).toString("base64").slice(0, 16));
  });

  it("hides what URLs in options carry, encoded and decoded", () => {
    const found = secretsOf(endpoint({ node: "https://planted%2Duser:p%40ss-s3cr3t@h" }));
    for (const text of [
      "p%40ss-s3cr3t",
      "p@ss-s3cr3t",
      "planted-user",
      Buffer.from("planted-user:p@ss-s3cr3t").toString("base64"),
    ]) {
      expect(redactText(`x ${text} y`, found)).toBe(`x ${REDACTED} y`);
    }
  });

  it("keeps the rest, and storage types that hold a user's name", () => {
    const found = secretsOf({
      endpointId: "e",
      storageType: "elasticsearch",
      metadata: { username: "elastic", password: "redis" },
    });
    expect(redactText("elasticsearch://localhost refused user [elastic]; redis://h", found)).toBe(
      `elasticsearch://localhost refused user [${REDACTED}]; redis://h`,
    );
    const superuser = secretsOf({ endpointId: "e", storageType: "postgresql", metadata: { username: "postgres" } });
    expect(redactText('postgresql://h refused "postgres"', superuser)).toBe(`postgresql://h refused "${REDACTED}"`);
    const namesake = { endpointId: "e", storageType: "postgresql", database: "shop" };
    const told = secretsOf({ ...namesake, metadata: { username: "shop", password: "secret" } });
    expect(redactText("postgresql://h/shop: secret", told)).toBe(`postgresql://h/shop: ${REDACTED}`);
    expect(redactText(Buffer.from("shop:secret").toString("base64"), told)).toBe(`${REDACTED}=`);
    const same = secretsOf({ ...namesake, metadata: { username: "shop", password: "shop" } });
    expect(redactText("postgresql://h/shop", same)).toBe(`postgresql://h/${REDACTED}`);
    expect(redactText("nothing here", [])).toBe("nothing here");
    expect(redactText("mail a@b to http://h/x@y", [])).toBe("mail a@b to http://h/x@y");
  });

  it("takes no longer than linear time", () => {
    const started = performance.now();
    redactText("a".repeat(500_000), secrets);
    redactText("a://".repeat(100_000), secrets);
    redactText(`a://${"b".repeat(500_000)}`, secrets);
    expect(performance.now() - started).toBeLessThan(1500);
  });
});

describe("a redacted error", () => {
  const source = parseEndpoint(`redis://${USER}:${encodeURIComponent(PASSWORD)}@h`);
  const secrets = secretsOf(source);

  it("keeps its class, code and sense, and loses its secrets down to the last cause", () => {
    const inner = Object.assign(new TypeError(`auth with ${PASSWORD}`), {
      code: "ECONNREFUSED",
      request: { headers: { authorization: PASSWORD } },
    });
    const middle = new Error(`cannot connect redis://${USER}:x@h`, { cause: inner });
    const error = new P2PError("CONNECTION_FAILED", `user ${USER} was refused`, {
      cause: middle,
      retryable: true,
      retryAfterMs: 5,
    });
    const clean = redactError(error, secrets) as P2PError & { cause: Error & { cause: Error & { code: string } } };
    expect(isP2PError(clean, "CONNECTION_FAILED")).toBe(true);
    expect(clean).toMatchObject({ retryable: true, retryAfterMs: 5, message: `user ${REDACTED} was refused` });
    expect(clean.cause.cause).toMatchObject({ name: "TypeError", code: "ECONNREFUSED" });
    expect(clean.cause.cause.stack).toContain("redact.test");
    expect(everything(clean)).not.toMatch(/s3cr3t|planted/);
  });

  it.each<[string, unknown]>([
    ["an object", { headers: { authorization: PASSWORD } }],
    ["a text", `went wrong with ${PASSWORD}`],
    ["a list", [PASSWORD]],
    ["a function", () => PASSWORD],
  ])("keeps nothing of a cause that is %s", (_, cause) => {
    const clean = redactError(new P2PError("READ_FAILED", "no", { cause }), secrets);
    expect(everything(clean)).not.toMatch(/s3cr3t|planted/);
  });

  it("ends where its causes go in a circle or down for ever", () => {
    const circle = new P2PError("READ_FAILED", PASSWORD);
    Object.defineProperty(circle, "cause", { value: circle, configurable: true });
    expect(everything(redactError(circle, secrets))).not.toMatch(/s3cr3t/);
    let deep: Error = new Error(PASSWORD);
    for (let i = 0; i < 20; i++) deep = new P2PError("READ_FAILED", `level ${i}`, { cause: deep });
    expect(everything(redactError(deep, secrets))).not.toMatch(/s3cr3t/);
  });

  it("leaves a foreign error as it was and gives a copy", () => {
    const foreign = Object.assign(new Error(`at ${PASSWORD}`), { config: { password: PASSWORD } });
    const clean = redactError(foreign, secrets);
    expect(foreign.message).toBe(`at ${PASSWORD}`);
    expect(everything(clean)).not.toMatch(/s3cr3t/);
  });
});
