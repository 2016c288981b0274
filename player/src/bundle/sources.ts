/** Where a model's files come from: an address, or files that the user chose. */

import { UserError } from "../errors";
import { MANIFEST } from "./schema";

export type BundleSource =
  | { kind: "url"; base: string }
  /** Files by their path within the bundle. */
  | { kind: "files"; files: ReadonlyMap<string, File> };

/** The text of `bundle.json`. */
export async function readManifest(source: BundleSource): Promise<string> {
  const { body } = await openFile(source, MANIFEST, 0);
  return new Response(body).text();
}

export interface OpenFile {
  body: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** The byte that it begins with: 0 where a server does not know ranges. */
  from: number;
  /** Bytes of the whole file, if that is known before. */
  size: number | undefined;
}

/** A file from a byte on; TypeError if the network is lost, UserError if it is not there. */
export async function openFile(
  source: BundleSource,
  path: string,
  from: number,
  signal?: AbortSignal,
): Promise<OpenFile> {
  if (source.kind === "files") {
    const file = source.files.get(path);
    if (!file) throw new UserError(`The folder has no file ${path}; choose a whole bundle.`);
    return { body: file.slice(from).stream(), from, size: file.size };
  }
  const headers = from ? { range: `bytes=${from}-` } : {};
  const url = new URL(path, source.base);
  const response = await fetch(url, {
    headers,
    signal: signal ?? null,
    credentials: credentials(url),
  });
  if (response.status === 416) return openFile(source, path, 0, signal);
  if (!response.ok || !response.body) {
    throw new UserError(
      `${path} cannot be fetched: ${url.host} answers ${response.status} ${response.statusText}`.trim() +
        ". Check the address.",
    );
  }
  const start = response.status === 206 ? from : 0;
  return { body: response.body, from: start, size: sizeOf(response, start) };
}

/** Bytes of the whole file, where the server tells and does not compress. */
function sizeOf({ headers }: Response, from: number): number | undefined {
  const length = headers.get("content-length");
  return length && !headers.has("content-encoding") ? from + Number(length) : undefined;
}

const credentials = (url: URL): RequestCredentials =>
  url.origin === location.origin ? "same-origin" : "omit";

/** The folder of a bundle that a user names by its address or that of its `bundle.json`. */
export function bundleAddress(typed: string): string {
  let url: URL;
  try {
    url = new URL(typed.trim(), location.href);
  } catch {
    throw new UserError(`"${typed}" is no address; give that of a bundle's folder or bundle.json.`);
  }
  if (url.protocol !== "https:" && url.origin !== location.origin) {
    throw new UserError("An address of another site begins with https://.");
  }
  url.hash = "";
  if (url.pathname.endsWith(`/${MANIFEST}`)) url.pathname = url.pathname.slice(0, -MANIFEST.length);
  else if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url.href;
}
