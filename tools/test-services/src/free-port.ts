import { createServer } from "node:net";

/** A port on the loopback address that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (address === null || typeof address === "string") throw new Error("no port was given");
  return address.port;
}

/**
 * Starts a server that cannot choose a port and say which, on the given port or on a free one: between our choice and its
 * bind another process may be faster, so that it is tried again on another one.
 */
export async function onPort<Started>(
  given: number | undefined,
  start: (port: number) => Promise<Started>,
): Promise<Started> {
  if (given !== undefined) return start(given);
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(await freePort());
    } catch (error) {
      if (attempt === 3 || !String(error).includes("Address already in use")) throw error;
    }
  }
}
