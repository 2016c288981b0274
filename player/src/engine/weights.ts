/**
 * Stored weights for ONNX Runtime, which copies one tensor at a time into its own memory.
 *
 * Given a file, it would first read all of it into JavaScript's memory: a gigabyte for nothing.
 */

import type { StoredFile } from "../bundle/schema";
import { filesFolder, needFile } from "../bundle/store";

export interface Weights {
  data: Uint8Array | File;
  /** To be called when the session is there. */
  close(): void;
}

/** Weights that are read on demand; the whole file where the browser cannot do that. */
export async function openWeights({ sha256, bytes, file }: StoredFile): Promise<Weights> {
  const whole = await needFile(sha256, bytes, file);
  try {
    const handle = await (await filesFolder()).getFileHandle(sha256);
    const access = await handle.createSyncAccessHandle({ mode: "read-only" });
    return { data: lazyBytes(access, bytes), close: () => access.close() };
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    return { data: whole, close: () => undefined }; // another tab reads it, in a browser that locks it
  }
}

/** An array for ONNX Runtime, which only uses its length and `subarray`. */
function lazyBytes(access: FileSystemSyncAccessHandle, size: number): Uint8Array {
  return Object.defineProperties(new Uint8Array(0), {
    byteLength: { value: size },
    subarray: {
      value(begin: number, end: number): Uint8Array {
        const part = new Uint8Array(end - begin);
        if (access.read(part, { at: begin }) < part.length) throw new RangeError("file cut off");
        return part;
      },
    },
  });
}
