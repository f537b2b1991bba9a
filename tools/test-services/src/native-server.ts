import type { Child } from "./child.ts";
import { makeDataFolder } from "./data-folder.ts";
import type { ServiceKind, TestService } from "./service.ts";

/** One start of a native server: its process, and what it said of itself. */
export interface NativeStart {
  readonly child: Child;
  readonly url: string;
  readonly version: string;
}

/** What the native servers differ in. */
export interface NativeServer {
  readonly kind: ServiceKind;
  readonly product: string;
  /** Starts it with its data in the folder, on the port or, where that is undefined, on a free one, and waits until it answers. */
  start(dataFolder: string, port: number | undefined): Promise<NativeStart>;
}

/** Starts a native server with a temporary data folder, and gives it the verbs of a test service. */
export async function startNative(server: NativeServer): Promise<TestService> {
  const dataFolder = await makeDataFolder();
  let running: NativeStart;
  try {
    running = await server.start(dataFolder.path, undefined);
  } catch (error) {
    await dataFolder.remove();
    throw error;
  }
  const { url, version } = running;
  const port = Number(new URL(url).port);
  let stopped = false;

  return {
    kind: server.kind,
    how: "native",
    product: server.product,
    url,
    version,
    get pid() {
      return running.child.pid;
    },
    async stop() {
      if (stopped) return;
      stopped = true;
      await running.child.stop();
      await dataFolder.remove();
    },
    async restart(whileDown) {
      if (stopped) throw new Error(`${server.product} has been stopped and cannot be restarted`);
      await running.child.kill();
      await whileDown?.();
      running = await server.start(dataFolder.path, port);
    },
  };
}
