/** Clips that are kept on this device, in IndexedDB. */

import type { MelFormat } from "../codec/format";
import type { MelImage } from "../codec/mel-image";
import type { Recipe } from "./share";

const NAME = "dmm-player";
const STORE = "clips";

export interface Clip {
  id: string;
  /** When it was made, milliseconds since 1970. */
  made: number;
  title: string;
  /** How it was made; undefined of pieces joined from clips. */
  recipe: Recipe | undefined;
  fmt: MelFormat;
  loop: boolean;
  image: MelImage;
  /** 16-bit samples, a channel each. */
  sound: Int16Array<ArrayBuffer>[];
}

export const clipSeconds = ({ sound, fmt }: Clip): number => sound[0].length / fmt.sr;

let opened: Promise<IDBDatabase> | undefined;

function open(): Promise<IDBDatabase> {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}

async function run<T>(
  mode: IDBTransactionMode,
  action: (store: IDBObjectStore) => IDBRequest<T>,
): Promise<T> {
  const transaction = (await open()).transaction(STORE, mode);
  const request = action(transaction.objectStore(STORE));
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(transaction.error);
  });
}

export const putClip = (clip: Clip): Promise<unknown> => run("readwrite", (s) => s.put(clip));

export const removeClip = (id: string): Promise<unknown> => run("readwrite", (s) => s.delete(id));

/** All clips, the newest first. */
export async function allClips(): Promise<Clip[]> {
  const clips = await run<Clip[]>("readonly", (store) => store.getAll());
  return clips.sort((a, b) => b.made - a.made);
}
