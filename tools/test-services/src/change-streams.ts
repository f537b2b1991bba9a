import { delimiter, join } from "node:path";
import { startChild } from "./child.ts";
import { fetchServer } from "./elasticsearch.ts";
import { findJava } from "./java.ts";
import { startNative } from "./native-server.ts";
import type { MongodbServiceOptions, TestService } from "./service.ts";

/** The stand-in for MongoDB that has change streams, and the Java that it runs on. */
const release = { version: "1.47.0", java: { product: "mongo-java-server 1.47", from: 17, to: 25 } } as const;

/** Fetches the parts of the server and compiles our main, unless they are in the cache; resolves with their folder. */
export async function prepareChangeStreams(log: (line: string) => void): Promise<string> {
  return fetchServer("change-streams", release.version, await findJava(release.java), log);
}

/** Starts mongo-java-server: a server in memory that speaks MongoDB's protocol and tells of changes. */
export async function startChangeStreams(
  log: (line: string) => void,
  mode: NonNullable<MongodbServiceOptions["changeStreams"]>,
): Promise<TestService> {
  const home = await prepareChangeStreams(log);
  const java = join(await findJava(release.java), "bin", "java");
  const classPath = [join(home, "test-node.jar"), join(home, "lib", "*")].join(delimiter);
  return startNative({
    kind: "mongodb",
    product: "mongo-java-server",
    async start(dataFolder, port = 0) {
      const args = [
        ...["-Xmx128m", "-XX:TieredStopAtLevel=1", `--class-path=${classPath}`],
        ...["omni.p2p.testservices.ChangeStreamTestServer", String(port), mode],
      ];
      const child = await startChild(java, args, { name: "mongo-java-server", cwd: dataFolder });
      const { url, version } = JSON.parse(child.firstLine) as { url: string; version: string };
      return { child, url, version };
    },
  });
}
