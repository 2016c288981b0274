/**
 * Models on this device, in the origin private file system.
 *
 * Files lie under their SHA-256, so what two models share is there once; a model is there when its
 * `bundle.json` is, which is written last.
 */

import { UserError } from "../errors";
import { type Bundle, bundleBytes, bundleFiles, type NamedBundle, parseBundle } from "./schema";

const ROOT = "dmm-models";
const FILES = "files";
const BUNDLES = "bundles";
const REMOVE_ATTEMPTS = 30;
const REMOVE_WAIT_MS = 100;
/** Ending of files that are not complete yet. */
export const PARTIAL = ".part";

async function folder(name: string): Promise<FileSystemDirectoryHandle> {
  const root = await navigator.storage.getDirectory();
  const models = await root.getDirectoryHandle(ROOT, { create: true });
  return models.getDirectoryHandle(name, { create: true });
}

export const filesFolder = (): Promise<FileSystemDirectoryHandle> => folder(FILES);

/** A stored file by its SHA-256; undefined if it is not there or has another length. */
export async function storedFile(sha256: string, bytes: number): Promise<File | undefined> {
  try {
    const handle = await (await filesFolder()).getFileHandle(sha256);
    const file = await handle.getFile();
    return file.size === bytes ? file : undefined;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** A file of a model that is there; UserError if it has gone. */
export async function needFile(sha256: string, bytes: number, name: string): Promise<File> {
  const file = await storedFile(sha256, bytes);
  if (file) return file;
  throw new UserError(
    `The file ${name} of this model is no longer on this device; get the model again.`,
  );
}

/** Models whose files are all there. */
export async function storedBundles(): Promise<NamedBundle[]> {
  const bundles: NamedBundle[] = [];
  for await (const [, handle] of (await folder(BUNDLES)).entries()) {
    if (handle.kind !== "file") continue;
    const text = await (await (handle as FileSystemFileHandle).getFile()).text();
    try {
      const named = parseBundle(text);
      if (await isWhole(named.bundle)) bundles.push(named);
    } catch (error) {
      if (!(error instanceof UserError)) throw error; // of an older page, or cut off: not listed
    }
  }
  return bundles.sort((a, b) => a.bundle.name.localeCompare(b.bundle.name));
}

async function isWhole(bundle: Bundle): Promise<boolean> {
  const files = bundleFiles(bundle).map(({ sha256, bytes }) => storedFile(sha256, bytes));
  return (await Promise.all(files)).every(Boolean);
}

/** Bytes of a model that are still to be fetched; partly fetched files are counted. */
export async function missingBytes(bundle: Bundle): Promise<number> {
  let missing = bundleBytes(bundle);
  const files = await filesFolder();
  for (const { sha256, bytes } of bundleFiles(bundle)) {
    if (await storedFile(sha256, bytes)) missing -= bytes;
    else missing -= Math.min(bytes, await sizeOf(files, sha256 + PARTIAL));
  }
  return missing;
}

async function sizeOf(files: FileSystemDirectoryHandle, name: string): Promise<number> {
  try {
    return (await (await files.getFileHandle(name)).getFile()).size;
  } catch (error) {
    if (isNotFound(error)) return 0;
    throw error;
  }
}

/** Remove a model, every file that no other model needs, and partly fetched files. */
export async function removeBundle(id: string): Promise<void> {
  const bundles = await folder(BUNDLES);
  await bundles.removeEntry(`${id}.json`).catch(ignoreNotFound);
  const kept = new Set(
    (await storedBundles()).flatMap(({ bundle }) => bundleFiles(bundle)).map((f) => f.sha256),
  );
  const files = await filesFolder();
  const names: string[] = [];
  for await (const name of files.keys()) if (!kept.has(name)) names.push(name);
  for (const name of names) await removeWhenUnused(files, name);
}

/** Remove a file once nothing reads it; UserError if another tab goes on doing so. */
async function removeWhenUnused(folder: FileSystemDirectoryHandle, name: string): Promise<void> {
  for (let attempt = 0; attempt < REMOVE_ATTEMPTS; attempt++) {
    try {
      await folder.removeEntry(name);
      return;
    } catch (error) {
      if (isNotFound(error)) return;
      if (!isInUse(error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, REMOVE_WAIT_MS));
    }
  }
  throw new UserError("Another tab is loading this model; remove it again when that is done.");
}

/** Where a model's `bundle.json` is kept. */
export async function bundleHandle(id: string): Promise<FileSystemFileHandle> {
  return (await folder(BUNDLES)).getFileHandle(`${id}.json`, { create: true });
}

const isInUse = (error: unknown): boolean =>
  error instanceof DOMException && error.name === "NoModificationAllowedError";

export const isNotFound = (error: unknown): boolean =>
  error instanceof DOMException && error.name === "NotFoundError";

function ignoreNotFound(error: unknown): void {
  if (!isNotFound(error)) throw error;
}
