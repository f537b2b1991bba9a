import type { StartedTestContainer } from "testcontainers";
import { elasticsearchReleases } from "./elasticsearch.ts";
import { freePort } from "./free-port.ts";
import { untilRecovered } from "./java-node.ts";
import { openSearchRelease } from "./opensearch.ts";
import { initdbArguments, newPassword, settingsOf, urlOf } from "./postgresql-settings.ts";
import { probe } from "./probe.ts";
import { makeSelfSigned } from "./self-signed.ts";
import type { OptionsByKind, RedisServiceOptions, ServiceKind, TestService } from "./service.ts";

/** What a container of one kind is made of. */
interface Recipe {
  readonly image: string;
  readonly port: number;
  readonly command?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** The program that runs the command, where it is not the image's own. */
  readonly entrypoint?: readonly string[];
  url(port: number): string;
}

/** Starts a service in a Docker container. */
export async function startContainer<Kind extends ServiceKind>(
  kind: Kind,
  options: OptionsByKind[Kind],
): Promise<TestService> {
  const { GenericContainer } = await import("testcontainers");
  const recipe = recipeFor(kind, options);
  // A fixed port on our side: one that Docker chooses would be another after a restart.
  const host = await freePort();
  let container = new GenericContainer(recipe.image)
    .withExposedPorts({ container: recipe.port, host })
    .withEnvironment({ ...recipe.env })
    .withStartupTimeout(180_000);
  if (recipe.entrypoint) container = container.withEntrypoint([...recipe.entrypoint]);
  if (recipe.command) container = container.withCommand([...recipe.command]);
  const started = await container.start();
  const url = recipe.url(host).replace("127.0.0.1", started.getHost());
  try {
    const identity = await untilItAnswers(kind, url);
    return serviceOf(kind, url, identity, started);
  } catch (error) {
    await started.stop();
    throw error;
  }
}

function serviceOf(
  kind: ServiceKind,
  url: string,
  identity: { product: string; version: string },
  started: StartedTestContainer,
): TestService {
  let stopped = false;
  return {
    kind,
    url,
    how: "testcontainers",
    ...identity,
    async stop() {
      if (stopped) return;
      stopped = true;
      await started.stop();
    },
    async restart(whileDown) {
      if (whileDown) {
        // Not by started.stop(), which can be called only once and is needed at the end.
        const { getContainerRuntimeClient } = await import("testcontainers");
        const { container } = await getContainerRuntimeClient();
        await container.stop(container.getById(started.getId()), { timeout: 0 });
        await whileDown();
      }
      await started.restart({ timeout: 0 });
      await untilItAnswers(kind, url);
    },
  };
}

function recipeFor<Kind extends ServiceKind>(kind: Kind, options: OptionsByKind[Kind]): Recipe {
  switch (kind) {
    case "redis":
      return redisRecipe(options as RedisServiceOptions);
    case "mongodb":
      return {
        image: "mongo:7",
        port: 27017,
        url: (port) => `mongodb://127.0.0.1:${port}/`,
      };
    case "postgresql":
      return postgresqlRecipe(options as OptionsByKind["postgresql"]);
    default:
      return elasticsearchRecipe(options as OptionsByKind["elasticsearch"]);
  }
}

function redisRecipe({ password, persistent, args = [] }: RedisServiceOptions): Recipe {
  return {
    image: "redis:7",
    port: 6379,
    command: [
      "redis-server",
      ...["--save", "", "--appendonly", persistent ? "yes" : "no"],
      ...(password === undefined ? [] : ["--requirepass", password]),
      ...args,
    ],
    url: (port) => `redis://${password === undefined ? "" : `:${encodeURIComponent(password)}@`}127.0.0.1:${port}`,
  };
}

function postgresqlRecipe(options: OptionsByKind["postgresql"]): Recipe {
  const password = newPassword();
  const { certificate, key } = makeSelfSigned();
  // The image's own entry becomes the database's user, which alone may own the key.
  const files = { ssl_cert_file: "/tmp/server.crt", ssl_key_file: "/tmp/server.key" };
  const entry = `
umask 077
printf %s "$TLS_CERTIFICATE" > ${files.ssl_cert_file}
printf %s "$TLS_KEY" > ${files.ssl_key_file}
chown postgres ${files.ssl_cert_file} ${files.ssl_key_file}
exec docker-entrypoint.sh "$@"
`;
  const settings = { ...files, listen_addresses: "*", ...options.settings };
  return {
    image: "postgres:15",
    port: 5432,
    entrypoint: ["sh", "-c", entry, "sh"],
    command: ["postgres", ...settingsOf({ ...options, settings })],
    env: {
      POSTGRES_PASSWORD: password,
      POSTGRES_INITDB_ARGS: initdbArguments.join(" "),
      TLS_CERTIFICATE: certificate,
      TLS_KEY: key,
    },
    url: (port) => urlOf(password, port),
  };
}

function elasticsearchRecipe({ heap = "1g", settings = {}, release = "8" }: OptionsByKind["elasticsearch"]): Recipe {
  if (release === "opensearch") return openSearchRecipe(heap, settings);
  return {
    image: `elasticsearch:${elasticsearchReleases[release].version}`,
    port: 9200,
    env: {
      "discovery.type": "single-node",
      "xpack.security.enabled": "false",
      "cluster.routing.allocation.disk.threshold_enabled": "false",
      ES_JAVA_OPTS: `-Xms${heap} -Xmx${heap}`,
      ...settings,
    },
    url: (port) => `http://127.0.0.1:${port}`,
  };
}

function openSearchRecipe(heap: string, settings: Readonly<Record<string, string>>): Recipe {
  return {
    image: `opensearchproject/opensearch:${openSearchRelease.version}`,
    port: 9200,
    env: {
      "discovery.type": "single-node",
      DISABLE_SECURITY_PLUGIN: "true",
      DISABLE_INSTALL_DEMO_CONFIG: "true",
      "cluster.routing.allocation.disk.threshold_enabled": "false",
      OPENSEARCH_JAVA_OPTS: `-Xms${heap} -Xmx${heap}`,
      ...settings,
    },
    url: (port) => `http://127.0.0.1:${port}`,
  };
}

/** The port is open a moment before the server behind it answers. */
async function untilItAnswers(kind: ServiceKind, url: string): Promise<{ product: string; version: string }> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    try {
      const identity = await probe(kind, url);
      if (kind === "elasticsearch") await untilRecovered(url);
      return identity;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
}
