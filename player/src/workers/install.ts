/** Download a model to this device: streamed, resumed, checked file by file. Runs in a worker. */

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import {
  bundleBytes,
  bundleFiles,
  type NamedBundle,
  parseBundle,
  type StoredFile,
} from "../bundle/schema";
import { type BundleSource, openFile, readManifest } from "../bundle/sources";
import { bundleHandle, filesFolder, missingBytes, PARTIAL, storedFile } from "../bundle/store";
import { UserError } from "../errors";
import type { InstallProgress } from "./calls";

const ATTEMPTS = 5;
const FIRST_WAIT_MS = 400;
const REPORT_MS = 100;
const READ_BYTES = 1 << 22;

type Report = (progress: InstallProgress) => void;

/** Fetch what is missing of a model; UserError, AbortError, or TypeError where the network is lost. */
export async function installBundle(
  source: BundleSource,
  report: Report,
  signal: AbortSignal,
): Promise<NamedBundle> {
  const text = await readManifest(source);
  const named = parseBundle(text);
  const missing = await missingBytes(named.bundle);
  await needSpace(missing);
  const total = bundleBytes(named.bundle);
  const progress = new Progress(total, total - missing, report);
  for (const file of bundleFiles(named.bundle)) {
    if (!(await storedFile(file.sha256, file.bytes))) {
      await fetchFile(source, file, progress, signal);
    }
  }
  await writeWhole(await bundleHandle(named.id), text);
  return named;
}

/** UserError if this device has less room than that. */
async function needSpace(bytes: number): Promise<void> {
  const { quota = Number.POSITIVE_INFINITY, usage = 0 } = await navigator.storage.estimate();
  if (quota - usage < bytes) throw new UserError(storageFull(bytes, quota - usage));
}

function storageFull(needed: number, free: number): string {
  const megabytes = (bytes: number) => `${Math.ceil(Math.max(bytes, 0) / 1e6)} MB`;
  return `This model needs ${megabytes(needed)} more, and the browser has ${megabytes(free)} left for this page; free up space by removing a model, then try again.`;
}

class Progress {
  #last = 0;

  constructor(
    readonly total: number,
    public done: number,
    readonly report: Report,
  ) {
    this.tell("");
  }

  add(bytes: number): void {
    this.done += bytes;
    if (performance.now() - this.#last > REPORT_MS || this.done >= this.total) this.tell("");
  }

  tell(waiting: InstallProgress["waiting"]): void {
    this.#last = performance.now();
    this.report({ done: this.done, total: this.total, waiting });
  }
}

/** Fetch one file, going on after lost connections; UserError if its content is another. */
async function fetchFile(
  source: BundleSource,
  file: StoredFile,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await fetchOnce(source, file, progress, signal);
    } catch (error) {
      const isLost = error instanceof TypeError;
      if (!isLost || attempt === ATTEMPTS) throw error;
      progress.tell("connection");
      await wait(FIRST_WAIT_MS * 2 ** (attempt - 1), signal);
    }
  }
}

async function fetchOnce(
  source: BundleSource,
  file: StoredFile,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const folder = await filesFolder();
  const handle = await folder.getFileHandle(file.sha256 + PARTIAL, { create: true });
  const access = await handle.createSyncAccessHandle();
  const hash = sha256.create();
  let at = 0;
  try {
    const there = access.getSize();
    const opened = await openFile(source, file.file, there < file.bytes ? there : 0, signal);
    needSize(file, opened.size);
    at = opened.from;
    hashStored(access, at, hash);
    progress.done -= there - at;
    for await (const chunk of opened.body) {
      signal.throwIfAborted();
      needSize(file, Math.max(at + chunk.length, file.bytes));
      write(access, chunk, at, file);
      hash.update(chunk);
      at += chunk.length;
      progress.add(chunk.length);
    }
    access.truncate(at);
    access.flush();
  } finally {
    access.close();
  }
  if (at < file.bytes) throw new TypeError(`${file.file} ended after ${at} bytes`);
  if (bytesToHex(hash.digest()) !== file.sha256) {
    await folder.removeEntry(file.sha256 + PARTIAL);
    progress.done -= at;
    throw new UserError(
      `${file.file} arrived damaged: its content is not what bundle.json says. ${AGAIN}`,
    );
  }
  await handle.move(file.sha256);
}

const AGAIN = "Get the model again; if it stays so, export it again.";

/** UserError for a file that is known to have another size than its description says. */
function needSize({ file, bytes }: StoredFile, size: number | undefined): void {
  if (size === undefined || size === bytes) return;
  throw new UserError(
    `${file} is damaged: it has ${size} bytes, bundle.json says ${bytes}. ${AGAIN}`,
  );
}

/** Hash what an earlier attempt left. */
function hashStored(
  access: FileSystemSyncAccessHandle,
  bytes: number,
  hash: ReturnType<typeof sha256.create>,
): void {
  const buffer = new Uint8Array(READ_BYTES);
  for (let at = 0; at < bytes; ) {
    const size = access.read(buffer.subarray(0, Math.min(READ_BYTES, bytes - at)), { at });
    hash.update(buffer.subarray(0, size));
    at += size;
  }
}

function write(
  access: FileSystemSyncAccessHandle,
  chunk: Uint8Array<ArrayBuffer>,
  at: number,
  file: StoredFile,
): void {
  try {
    if (access.write(chunk, { at }) === chunk.length) return;
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
  }
  throw new UserError(storageFull(file.bytes - at, 0));
}

async function writeWhole(handle: FileSystemFileHandle, text: string): Promise<void> {
  const access = await handle.createSyncAccessHandle();
  try {
    access.truncate(0);
    access.write(new TextEncoder().encode(text), { at: 0 });
    access.flush();
  } finally {
    access.close();
  }
}

function wait(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
