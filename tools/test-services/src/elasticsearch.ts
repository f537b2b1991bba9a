import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findJava } from "./java.ts";
import { startJavaNode } from "./java-node.ts";
import { cached, fingerprint, nativeSources } from "./native-cache.ts";
import { runProgram } from "./run-program.ts";
import type { ElasticsearchRelease, ElasticsearchServiceOptions, TestService } from "./service.ts";

/** The versions of each release that are tested against, and the Java that they run on. */
export const elasticsearchReleases = {
  "8": { version: "8.13.4", java: { product: "Elasticsearch 8.13", from: 17, to: 23 } },
  // 9.2.1 and 9.2.3 lack one of the two parts that are published.
  "9": { version: "9.2.2", java: { product: "Elasticsearch 9.2", from: 21, to: 25 } },
} as const;

/** What the distribution's own jvm.options sets and this server needs or is the better for. */
const jvmOptions = [
  "-XX:-OmitStackTraceInFastThrow",
  "-Djna.nosys=true",
  "-Dio.netty.noUnsafe=true",
  "-Dio.netty.noKeySetOptimization=true",
  "-Dio.netty.recycler.maxCapacityPerThread=0",
  "-Dlog4j2.formatMsgNoLookups=true",
  "--add-opens=java.base/java.io=org.elasticsearch.preallocate",
];

/**
 * Fetches the parts of the server and compiles our main with the machine's Maven, unless they are in the cache, and
 * resolves with the folder that is the server's home.
 */
export async function prepareElasticsearch(
  log: (line: string) => void,
  release: ElasticsearchRelease = "8",
): Promise<string> {
  const { version, java } = elasticsearchReleases[release];
  return fetchServer("elasticsearch", version, await findJava(java), log);
}

/** Fetches the parts of a version of a server by the project in our native sources, unless they are in the cache. */
export async function fetchServer(
  name: "elasticsearch" | "opensearch" | "change-streams",
  version: string,
  javaHome: string,
  log: (line: string) => void,
): Promise<string> {
  const sources = join(nativeSources, name);
  return cached(`${name}-${version}`, await fingerprint(sources, version), async (building) => {
    log(`${name} ${version}: fetching the server's parts for the first time, which takes up to a minute`);
    // Maven writes beside its pom, so it works on a copy.
    const project = await mkdtemp(join(tmpdir(), `omni-p2p-${name}-`));
    try {
      await cp(sources, project, { recursive: true });
      const args = ["-B", "-q", "-ntp", "-Dstyle.color=never", `-Dserver.home=${building}`];
      const env = { JAVA_HOME: javaHome };
      await runProgram("mvn", [...args, `-D${name}.version=${version}`, "package"], { cwd: project, env });
    } finally {
      await rm(project, { recursive: true, force: true });
    }
  });
}

/** Starts a single Elasticsearch node with its security off. */
export async function startElasticsearch(
  log: (line: string) => void,
  {
    release = "8",
    ...options
  }: ElasticsearchServiceOptions & { readonly release?: ElasticsearchRelease | undefined } = {},
): Promise<TestService> {
  const javaHome = await findJava(elasticsearchReleases[release].java);
  const home = await prepareElasticsearch(log, release);
  const ownOptions = [
    ...jvmOptions,
    ...(release === "8" ? ["-Djava.locale.providers=SPI,COMPAT"] : []),
    `--module-path=${join(home, "lib")}`,
    "--add-modules=jdk.net,ALL-MODULE-PATH",
    `--class-path=${join(home, "test-node.jar")}`,
  ];
  const main = "omni.p2p.testservices.ElasticsearchTestNode";
  return startJavaNode({ product: "Elasticsearch", javaHome, home, jvmOptions: ownOptions, main }, options);
}
