/** Files of a bundle's folder that a user chose or dropped, by their path within it. */

import { MANIFEST } from "../bundle/schema";
import { UserError } from "../errors";

/** Of an input with `webkitdirectory`; UserError if there is no bundle.json. */
export function chosenFiles(files: readonly File[]): ReadonlyMap<string, File> {
  return below(new Map(files.map((file) => [file.webkitRelativePath || file.name, file])));
}

/** Of what was dropped: a folder, or its files. */
export async function droppedFiles(
  items: DataTransferItemList,
): Promise<ReadonlyMap<string, File>> {
  const entries = [...items].flatMap((item) => item.webkitGetAsEntry() ?? []);
  const found = new Map<string, File>();
  for (const entry of entries) await gather(entry, "", found);
  return below(found);
}

/** Paths from where the one bundle.json is. */
function below(files: ReadonlyMap<string, File>): ReadonlyMap<string, File> {
  const manifests = [...files.keys()].filter((path) => path.split("/").at(-1) === MANIFEST);
  if (manifests.length !== 1) {
    throw new UserError(
      `A bundle's folder holds one bundle.json; this one holds ${manifests.length}. Choose the folder that dmm export wrote.`,
    );
  }
  const root = manifests[0].slice(0, -MANIFEST.length);
  return new Map(
    [...files].flatMap(([path, file]) =>
      path.startsWith(root) ? [[path.slice(root.length), file] as [string, File]] : [],
    ),
  );
}

async function gather(
  entry: FileSystemEntry,
  path: string,
  found: Map<string, File>,
): Promise<void> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) =>
      (entry as FileSystemFileEntry).file(resolve, reject),
    );
    found.set(path + entry.name, file);
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    const entries = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (!entries.length) return; // it gives a hundred at a time
    for (const inner of entries) await gather(inner, `${path}${entry.name}/`, found);
  }
}
