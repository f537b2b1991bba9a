import { parseEndpoint } from "@omni/p2p-core/starter";
import { MongoClient } from "mongodb";
import { expect, test } from "vitest";
import { parseMongodbEndpoint } from "../src/endpoint.ts";

function parsed(url: string, role: "source" | "target" = "source") {
  return parseMongodbEndpoint(parseEndpoint(url), 5000, role);
}

/** The credentials that the driver makes of an endpoint. */
function credentialsOf(url: string) {
  const { uri, clientOptions } = parsed(url);
  return new MongoClient(uri, clientOptions).options.credentials;
}

test("the connection string has hosts and options, and no secret", () => {
  const { uri, clientOptions, database, collection, seeds } = parsed(
    "mongodb://us%20er:p%40ss@h1:1,h2:2/app?collection=docs&replicaSet=rs0&w=majority&tls=true&tlsCertificateKeyFilePassword=x",
  );
  expect(uri).toBe("mongodb://h1:1,h2:2/?appName=omni-p2p&replicaSet=rs0&w=majority&tls=true");
  expect({ database, collection, seeds }).toEqual({ database: "app", collection: "docs", seeds: 2 });
  expect(clientOptions).toMatchObject({
    auth: { username: "us er", password: "p@ss" },
    authSource: "app",
    tlsCertificateKeyFilePassword: "x",
    connectTimeoutMS: 5000,
    serverSelectionTimeoutMS: 5000,
  });
});

test("what is left out has MongoDB's own defaults", () => {
  expect(parsed("mongodb://localhost")).toMatchObject({
    uri: "mongodb://localhost:27017/?appName=omni-p2p",
    database: "test",
    collection: undefined,
  });
  expect(parsed("mongodb://localhost", "target").collection).toBe("records");
  expect(parsed("mongodb://[::1]:5/db").uri).toContain("mongodb://[::1]:5/");
  expect(parsed("mongodb+srv://cluster.example.org/db")).toMatchObject({
    uri: "mongodb+srv://cluster.example.org/?appName=omni-p2p",
    seeds: undefined,
  });
});

test("the driver looks for the user where the endpoint says", () => {
  expect(credentialsOf("mongodb://u:p@h/app")).toMatchObject({ username: "u", password: "p", source: "app" });
  expect(credentialsOf("mongodb://u:p@h/app?authSource=admin")).toMatchObject({ source: "admin" });
  expect(credentialsOf("mongodb://u:p@h")).toMatchObject({ source: "admin" });
  expect(credentialsOf("mongodb://u:p@h/app?authMechanism=PLAIN&tls=true")).toMatchObject({
    mechanism: "PLAIN",
    source: "$external",
  });
  expect(credentialsOf("mongodb://u:p@h/app?authMechanism=SCRAM-SHA-256")).toMatchObject({
    mechanism: "SCRAM-SHA-256",
    source: "app",
  });
  expect(credentialsOf("mongodb://h/app?authMechanism=MONGODB-X509&tls=true")).toMatchObject({
    mechanism: "MONGODB-X509",
    source: "$external",
  });
  expect(credentialsOf("mongodb://h/app")).toBeUndefined();
});

test("every option is one that the driver knows", () => {
  const values: Record<string, string> = {
    replicaSet: "rs0",
    directConnection: "false",
    tls: "true",
    readPreference: "secondary",
    readPreferenceTags: "dc:a,rack:1",
    maxStalenessSeconds: "120",
    readConcernLevel: "majority",
    w: "2",
    journal: "true",
    wtimeoutMS: "5000",
    retryWrites: "false",
    retryReads: "false",
    compressors: "zlib",
    zlibCompressionLevel: "3",
    maxPoolSize: "5",
    minPoolSize: "1",
    maxConnecting: "1",
    maxIdleTimeMS: "1000",
    waitQueueTimeoutMS: "1000",
    socketTimeoutMS: "1000",
    heartbeatFrequencyMS: "1000",
    localThresholdMS: "10",
    serverMonitoringMode: "poll",
    appName: "me",
    connectTimeoutMS: "123",
    serverSelectionTimeoutMS: "456",
  };
  const { uri, clientOptions } = parsed(`mongodb://h/app?${new URLSearchParams(values)}`);
  const { options } = new MongoClient(uri, clientOptions);
  expect(options).toMatchObject({
    replicaSet: "rs0",
    maxPoolSize: 5,
    connectTimeoutMS: 123,
    serverSelectionTimeoutMS: 456,
    retryWrites: false,
    appName: "me",
    writeConcern: { w: 2, journal: true, wtimeoutMS: 5000 },
    readConcern: { level: "majority" },
    readPreference: { mode: "secondary", maxStalenessSeconds: 120, tags: [{ dc: "a", rack: "1" }] },
  });
});
