import { join } from "node:path";
import { startChild } from "./child.ts";
import { startNative } from "./native-server.ts";
import type { ElasticsearchServiceOptions, TestService } from "./service.ts";

/** A server of the Elasticsearch family as it runs on this machine: a Java program of ours around the published parts. */
export interface JavaNode {
  readonly product: "Elasticsearch" | "OpenSearch";
  readonly javaHome: string;
  /** The folder with the server's parts. */
  readonly home: string;
  /** Options of the virtual machine, beside the ones that every node needs. */
  readonly jvmOptions: readonly string[];
  /** The class with our main. */
  readonly main: string;
}

const commonJvmOptions = [
  // A node of tests lives for minutes on a few cores, and the thorough compiler would take its share.
  "-XX:TieredStopAtLevel=1",
  "-Djava.awt.headless=true",
  "-Dfile.encoding=UTF-8",
  "-Dlog4j.shutdownHookEnabled=false",
  "-Dlog4j2.disable.jmx=true",
];

/** Starts a single node without security. */
export function startJavaNode(
  { product, javaHome, home, jvmOptions, main }: JavaNode,
  { heap = "1g", settings = {} }: Omit<ElasticsearchServiceOptions, "release">,
): Promise<TestService> {
  return startNative({
    kind: "elasticsearch",
    product,
    async start(dataFolder, port = 0) {
      const args = [
        ...[`-Xms${heap}`, `-Xmx${heap}`, `-Djava.io.tmpdir=${dataFolder}`],
        ...commonJvmOptions,
        ...jvmOptions,
        ...[main, home, dataFolder, String(port)],
        ...Object.entries(settings).map(([name, value]) => `${name}=${value}`),
      ];
      const child = await startChild(join(javaHome, "bin", "java"), args, { name: product, cwd: dataFolder });
      const { url, version } = JSON.parse(child.firstLine) as { url: string; version: string };
      await untilRecovered(url);
      return { child, url, version };
    },
  });
}

/** After a restart the shards come back a moment later than the HTTP port does. */
export async function untilRecovered(url: string): Promise<void> {
  const response = await fetch(`${url}/_cluster/health?wait_for_status=yellow&timeout=60s`);
  await response.body?.cancel();
  if (!response.ok) throw new Error(`The server did not recover its indices: HTTP ${response.status}`);
}
