/** Output streams: standard output, devices and named pipes, which keep nothing that could be taken back. */
import { type FileHandle, open } from "node:fs/promises";
import { P2PError } from "@omni/p2p-core/starter";
import { codeOf, writeError } from "./errors.ts";
import { writeWhole } from "./whole-calls.ts";

/** A stream that is written to, with back-pressure. */
export interface Pipe {
  write(bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** @param path `-` for standard output. */
export async function openPipe(path: string, label: string): Promise<Pipe> {
  if (path === "-") return standardOutput(label);
  try {
    return toHandle(await open(path, "w"), label);
  } catch (error) {
    throw writeError(label, error);
  }
}

function toHandle(handle: FileHandle, label: string): Pipe {
  return {
    async write(bytes) {
      try {
        await writeWhole(handle, bytes);
      } catch (error) {
        throw told(error, label);
      }
    },
    close: () => handle.close().catch(() => {}),
  };
}

let isHeard = false;

/** It is the process's and stays open; that its reader went away is told by the next write. */
function standardOutput(label: string): Pipe {
  // Without a listener the error would end the process, also after the last write.
  if (!isHeard) process.stdout.on("error", () => {});
  isHeard = true;
  return {
    write: (bytes) =>
      new Promise((resolve, reject) => {
        process.stdout.write(bytes, (error) => (error ? reject(told(error, label)) : resolve()));
      }),
    close: async () => {},
  };
}

function told(error: unknown, label: string): P2PError {
  if (codeOf(error) !== "EPIPE" && codeOf(error) !== "ERR_STREAM_DESTROYED") return writeError(label, error);
  return new P2PError("ABORTED", `${label} was closed by its reader, so the transfer ends`, { cause: error });
}
