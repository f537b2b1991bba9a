import { delimiter, join } from "node:path";
import { fetchServer } from "./elasticsearch.ts";
import { findJava } from "./java.ts";
import { startJavaNode } from "./java-node.ts";
import type { ElasticsearchServiceOptions, TestService } from "./service.ts";

/** The version that is tested against, and the Java that it runs on. */
export const openSearchRelease = {
  version: "3.3.0",
  java: { product: "OpenSearch 3.3", from: 21, to: 25 },
} as const;

/** Fetches the parts of the server and compiles our main, unless they are in the cache; resolves with their folder. */
export async function prepareOpenSearch(log: (line: string) => void): Promise<string> {
  const { version, java } = openSearchRelease;
  return fetchServer("opensearch", version, await findJava(java), log);
}

/** Starts a single OpenSearch node without security. */
export async function startOpenSearch(
  log: (line: string) => void,
  options: Omit<ElasticsearchServiceOptions, "release"> = {},
): Promise<TestService> {
  const home = await prepareOpenSearch(log);
  const javaHome = await findJava(openSearchRelease.java);
  const jvmOptions = [
    "--enable-native-access=ALL-UNNAMED",
    `--class-path=${[join(home, "test-node.jar"), join(home, "lib", "*")].join(delimiter)}`,
  ];
  const main = "omni.p2p.testservices.OpenSearchTestNode";
  return startJavaNode({ product: "OpenSearch", javaHome, home, jvmOptions, main }, options);
}
