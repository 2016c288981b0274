/**
 * The page without a network, and the headers that a static host cannot send.
 *
 * The page's own files are fetched at once; the runtime is kept when it is first used. Models are
 * not cached here: they are kept in the origin private file system.
 */

export {}; // a module for the type checker: what follows is not global

declare const self: ServiceWorkerGlobalScope;

const CACHES = "dmm-player-";
const MODELS = /\/bundles\//;
const RUNTIME = /\.wasm$/;
const NAVIGATION_MS = 4000;

/** The page itself asks this origin alone; only the worker that fetches models asks others. */
const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; img-src 'self' blob:; manifest-src 'self'; base-uri 'none'; form-action 'none'; connect-src 'self'";
const DOWNLOADING = /\/download\.worker-[^/]+\.js$/;

interface Precache {
  version: string;
  files: string[];
}

const scoped = (path: string): string => new URL(path, self.registration.scope).href;

async function precache(): Promise<Precache> {
  return (await fetch(scoped("precache.json"), { cache: "no-store" })).json();
}

self.addEventListener("install", (event) => {
  event.waitUntil(
    (async () => {
      const { version, files } = await precache();
      const cache = await caches.open(CACHES + version);
      await cache.addAll(files.map((file) => new Request(scoped(file), { cache: "no-cache" })));
      await self.skipWaiting();
    })(),
  );
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      const { version } = await precache().catch(() => ({ version: "" }));
      for (const name of await caches.keys()) {
        const isOld = name.startsWith(CACHES) && version && name !== CACHES + version;
        if (isOld) await caches.delete(name);
      }
      await self.clients.claim();
    })(),
  );
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  const isOurs = url.origin === self.location.origin && url.href.startsWith(scoped("."));
  if (request.method !== "GET" || !isOurs || MODELS.test(url.pathname)) return;
  if (request.mode === "navigate") event.respondWith(page(request).then(isolated));
  else if (RUNTIME.test(url.pathname)) {
    const answer = runtime(request);
    event.respondWith(answer);
    event.waitUntil(answer.then(() => keepForOffline(request)));
  } else event.respondWith(file(request).then(isolated));
});

/** The page from its host, so that it can be a newer one; from here where the host is away. */
async function page(request: Request): Promise<Response> {
  try {
    return await fetch(request, { signal: AbortSignal.timeout(NAVIGATION_MS) });
  } catch {
    const kept = await caches.match(scoped("index.html"));
    return kept ?? Response.error();
  }
}

/** A file of the page, whose name changes with its content, from here or else from its host. */
async function file(request: Request): Promise<Response> {
  const kept = await keptAnswer(request);
  if (kept) return kept;
  const response = await fetch(request);
  if (/\/assets\//.test(request.url)) await keep(request, response.clone());
  return response;
}

/**
 * The runtime as the browser's own cache has it, from here where the host is away.
 *
 * Chromium keeps compiled code with such an answer only: without it, the first clip of each visit
 * takes twice the time.
 */
async function runtime(request: Request): Promise<Response> {
  try {
    return await fetch(request);
  } catch {
    return (await keptAnswer(request)) ?? Response.error();
  }
}

/** Requests whose answers are on their way here. */
const arriving = new Set<string>();

/**
 * Ask for the runtime once more, which the browser's own cache answers, and keep it.
 *
 * A clone of the page's answer would stay in memory, 18 MB for each worker, until the page closes.
 */
async function keepForOffline(request: Request): Promise<void> {
  const { url } = request;
  if (arriving.has(url) || (await keptAnswer(request))) return;
  arriving.add(url);
  try {
    await keep(request, await fetch(url));
  } finally {
    arriving.delete(url);
  }
}

const keptAnswer = (request: Request): Promise<Response | undefined> =>
  caches.match(request, { ignoreVary: true });

async function keep(request: Request, response: Response): Promise<void> {
  if (response.status !== 200) return;
  const [name] = (await caches.keys()).filter((key) => key.startsWith(CACHES)).slice(-1);
  if (name) await (await caches.open(name)).put(request, response);
}

/** The same answer with the headers that isolate the page and bind it to this origin. */
function isolated(response: Response): Response {
  if (response.type === "error" || response.type === "opaqueredirect") return response;
  const headers = new Headers(response.headers);
  headers.set("cross-origin-opener-policy", "same-origin");
  headers.set("cross-origin-embedder-policy", "require-corp");
  headers.set("cross-origin-resource-policy", "same-origin");
  const downloads = DOWNLOADING.test(new URL(response.url || self.location.href).pathname);
  headers.set("content-security-policy", downloads ? `${POLICY} https:` : POLICY);
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers });
}
