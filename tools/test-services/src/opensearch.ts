import { delimiter, join } from "node:path";
import { startChild } from "./child.ts";
import { fetchServer, untilRecovered } from "./elasticsearch.ts";
import { findJava } from "./java.ts";
import { startNative } from "./native-server.ts";
import type { ElasticsearchServiceOptions, TestService } from "./service.ts";

/** The version that is tested against, and the Java that it runs on. */
export const openSearchRelease = {
  version: "3.3.0",
  java: { product: "OpenSearch 3.3", from: 21, to: 25 },
} as const;

const main = "omni.p2p.testservices.OpenSearchTestNode";

const jvmOptions = [
  // A node of tests lives for minutes on a few cores, and the thorough compiler would take its share.
  "-XX:TieredStopAtLevel=1",
  "-Djava.awt.headless=true",
  "-Dfile.encoding=UTF-8",
  "-Dlog4j.shutdownHookEnabled=false",
  "-Dlog4j2.disable.jmx=true",
  "--enable-native-access=ALL-UNNAMED",
];

/** Fetches the parts of the server and compiles our main, unless they are in the cache; resolves with their folder. */
export async function prepareOpenSearch(log: (line: string) => void): Promise<string> {
  const { version, java } = openSearchRelease;
  return fetchServer("opensearch", version, await findJava(java), log);
}

/** Starts a single OpenSearch node without security. */
export async function startOpenSearch(
  log: (line: string) => void,
  { heap = "1g", settings = {} }: Omit<ElasticsearchServiceOptions, "release"> = {},
): Promise<TestService> {
  const home = await prepareOpenSearch(log);
  const javaHome = await findJava(openSearchRelease.java);
  return startNative({
    kind: "elasticsearch",
    product: "OpenSearch",
    async start(dataFolder, port = 0) {
      const args = [
        `-Xms${heap}`,
        `-Xmx${heap}`,
        `-Djava.io.tmpdir=${dataFolder}`,
        ...jvmOptions,
        `--class-path=${[join(home, "test-node.jar"), join(home, "lib", "*")].join(delimiter)}`,
        main,
        home,
        dataFolder,
        String(port),
        ...Object.entries(settings).map(([name, value]) => `${name}=${value}`),
      ];
      const child = await startChild(join(javaHome, "bin", "java"), args, { name: "OpenSearch", cwd: dataFolder });
      const { url, version } = JSON.parse(child.firstLine) as { url: string; version: string };
      await untilRecovered(url);
      return { child, url, version };
    },
  });
}
