/** Reads and writes that are whole: a call of the system may do less than it was asked for. */
import type { FileHandle } from "node:fs/promises";

/** @returns as many bytes as were asked for; fewer only at the end of the file. */
export async function readWhole(handle: FileHandle, offset: number, length: number): Promise<Uint8Array> {
  const buffer = Buffer.allocUnsafeSlow(Math.max(0, length));
  let done = 0;
  while (done < buffer.length) {
    const { bytesRead } = await handle.read(buffer, done, buffer.length - done, offset + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return buffer.subarray(0, done);
}

/** @param offset `undefined` for a stream, which has no places. */
export async function writeWhole(handle: FileHandle, bytes: Uint8Array, offset?: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const at = offset === undefined ? null : offset + done;
    done += (await handle.write(bytes, done, bytes.length - done, at)).bytesWritten;
  }
}
