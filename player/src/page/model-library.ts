/** Models that this page can use: on the device, offered by the host, or being downloaded. */

import { type NamedBundle, parseBundle } from "../bundle/schema";
import type { BundleSource } from "../bundle/sources";
import { needFile, storedBundles } from "../bundle/store";
import { type MelFormat, parseFormat } from "../codec/format";
import { startDownloadWorker } from "../engine/workers";
import { UserError } from "../errors";
import type { DownloadCalls, InstallProgress } from "../workers/calls";
import type { WorkerClient } from "../workers/rpc";

/** The host's list of bundles, `bundles/index.json`. */
interface Index {
  bundles: { name: string; path: string }[];
}

const INDEX = "bundles/index.json";
const SOURCES_KEY = "dmm-model-sources";

/** A model that is being downloaded, or whose download is paused. */
export interface Installing {
  progress: InstallProgress;
  control: AbortController | undefined;
}

export class ModelLibrary {
  /** On this device. */
  stored: NamedBundle[] = [];
  /** By model id: what the host offers and where it is. */
  readonly offered = new Map<string, { model: NamedBundle; base: string }>();
  readonly installing = new Map<string, Installing>();
  onChange: () => void = () => undefined;
  #worker: WorkerClient<DownloadCalls> | undefined;

  async refresh(): Promise<void> {
    this.stored = await storedBundles();
    this.onChange();
  }

  /** Fetch the host's list; a host without one, or offline, offers no models. */
  async refreshOffers(): Promise<void> {
    const index = new URL(INDEX, document.baseURI);
    const response = await fetch(index).catch(() => undefined);
    if (!response?.ok) return;
    const { bundles } = (await response.json()) as Index;
    for (const { path } of bundles) {
      const base = new URL(path.endsWith("/") ? path : `${path}/`, index).href;
      const manifest = await fetch(new URL("bundle.json", base)).catch(() => undefined);
      if (!manifest?.ok) continue;
      const model = parseBundle(await manifest.text());
      this.offered.set(model.id, { model, base });
    }
    this.onChange();
  }

  /** A model on this device by the beginning of its id. */
  find(id: string): NamedBundle | undefined {
    return this.stored.find((model) => model.id.startsWith(id));
  }

  /** Download a model, or resume its download; returns it once it is complete. */
  async install(source: BundleSource, id = ""): Promise<NamedBundle> {
    if (this.installing.get(id)?.control)
      throw new UserError("This model is being downloaded already.");
    const control = new AbortController();
    const state: Installing = { progress: { done: 0, total: 0, waiting: "" }, control };
    this.installing.set(id, state);
    this.onChange();
    try {
      await navigator.storage.persist?.();
      this.#worker ??= startDownloadWorker();
      const model = await this.#worker.call("install", source, {
        signal: control.signal,
        onEvent: (progress) => {
          state.progress = progress;
          this.onChange();
        },
      });
      this.installing.delete(id);
      if (source.kind === "url") rememberSource(model.id, source.base);
      await this.refresh();
      return model;
    } catch (error) {
      const { done, total } = state.progress;
      const hasBegun = done > 0 || (isLost(error) && total > 0);
      if (hasBegun) state.control = undefined;
      else this.installing.delete(id);
      this.onChange();
      throw isLost(error) ? new UserError(hasBegun ? LOST : UNREACHABLE) : error;
    }
  }

  /** Pause a download; what has arrived is kept. */
  pause(id: string): void {
    this.installing.get(id)?.control?.abort();
  }

  /** Remove a model from this device. */
  async remove(id: string): Promise<void> {
    this.#worker ??= startDownloadWorker();
    await this.#worker.call("remove", id);
    this.installing.delete(id);
    await this.refresh();
  }
}

const UNREACHABLE =
  "Nothing answers at this address, or it does not let other sites read it; check the address and your connection.";
const LOST =
  "The connection was lost. What has arrived is kept: press Resume when you are online again.";
const isLost = (error: unknown): boolean => error instanceof Error && error.name === "TypeError";

/** The mel format of a model on this device. */
export async function formatOf({ bundle }: NamedBundle): Promise<MelFormat> {
  const { sha256, bytes, file } = bundle.format;
  return parseFormat(JSON.parse(await (await needFile(sha256, bytes, file)).text()));
}

/** Remember where a model came from, for links; addresses on this host are left out. */
function rememberSource(id: string, base: string): void {
  if (new URL(base).origin === location.origin) return;
  localStorage.setItem(SOURCES_KEY, JSON.stringify({ ...sources(), [id]: base }));
}

function sources(): Record<string, string> {
  return JSON.parse(localStorage.getItem(SOURCES_KEY) ?? "{}");
}

export const sourceOf = (id: string): string | undefined => sources()[id];
