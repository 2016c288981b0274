/** Generates requests: text encoders, UNet with decoder, and sound, each in a worker. */

import type { NamedBundle } from "../bundle/schema";
import type { MelFormat } from "../codec/format";
import { emptyImage, columns as imageColumns, joined, type MelImage } from "../codec/mel-image";
import type { Sound } from "../codec/mid-side";
import { UserError } from "../errors";
import { stretchLoop } from "../songs/loop";
import type { AudioCalls, DiffusionCalls, Fallback, Machine } from "../workers/calls";
import type { WorkerClient } from "../workers/rpc";
import { type Conditions, mixEmbeddings } from "./conditions";
import { PromptEncoder } from "./prompt-encoder";
import { anchored, type ClipRequest, planOf, type RequestPlan } from "./request";
import { isGuided } from "./settings";
import { startAudioWorker, startDiffusionWorker } from "./workers";

const MAKING_LOCK = "dmm-making";
/** A worker that has not stopped by then is ended. */
const PATIENCE_MS = 300;

export type Phase = "waiting" | "loading" | "encoding" | "denoising" | "decoding" | "inverting";

export interface Callbacks {
  onPhase(phase: Phase, done: number, total: number): void;
  /** The first window's denoised estimate, (channels, rows, columns). */
  onPreview(latent: Float32Array): void;
  /** The next columns of the image, within its length. */
  onColumns(image: MelImage, frames: number): void;
  /** The next block of sound. */
  onSound(sound: Sound): void;
  /** A part that goes on in WebAssembly. */
  onFallback(fallback: Fallback): void;
  /** Everything is made again, in WebAssembly: forget columns and sound. */
  onRestart(): void;
  /** Words of the prompts that were not read. */
  onUnread(words: string[]): void;
}

interface Loaded {
  id: string;
  worker: WorkerClient<DiffusionCalls>;
  ready: Promise<unknown>;
}

export class Engine {
  readonly #prompts = new PromptEncoder();
  #loaded: Loaded | undefined;
  #audio: WorkerClient<AudioCalls> | undefined;
  #stopping: Promise<unknown> = Promise.resolve();

  constructor(public machine: Machine) {}

  /** Load a model's UNet and decoder, if they are not. */
  async load(model: NamedBundle, onFallback: (fallback: Fallback) => void): Promise<void> {
    if (this.#loaded?.id !== model.id) {
      this.#loaded?.worker.terminate();
      const worker = startDiffusionWorker();
      const args = { model, machine: this.machine };
      const ready = worker.call("load", args, { onEvent: onFallback });
      this.#loaded = { id: model.id, worker, ready };
    }
    const { ready } = this.#loaded;
    try {
      await ready;
    } catch (error) {
      if (this.#loaded?.ready === ready) this.unload();
      throw error;
    }
  }

  /** Give back all memory that models take. */
  unload(): void {
    this.#loaded?.worker.terminate();
    this.#loaded = undefined;
    this.#audio?.terminate();
    this.#audio = undefined;
    this.#prompts.endWorker();
  }

  /** Generate a request; AbortError at once when it is cancelled. */
  async make(request: ClipRequest, callbacks: Callbacks, signal: AbortSignal): Promise<void> {
    await this.#untilCancelled(signal, () =>
      inTurn(signal, callbacks, () => this.#makeWithFallback(request, callbacks, signal)),
    );
  }

  /** The sound of a whole image; AbortError at once when it is cancelled. */
  async sound(
    image: MelImage,
    fmt: MelFormat,
    onSound: (sound: Sound) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const samples = image.frames * fmt.hop_length;
    await this.#untilCancelled(signal, async () => {
      const audio = this.#begin({ fmt, loop: false, samples }, onSound, signal);
      audio.push(image);
      audio.end();
      await audio.done;
    });
  }

  /** Run a task; AbortError at once when it is cancelled, while its workers are stopped. */
  async #untilCancelled(signal: AbortSignal, run: () => Promise<void>): Promise<void> {
    await this.#stopping;
    signal.throwIfAborted();
    const task = run();
    const cancelled = new Promise<never>((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
    });
    try {
      await Promise.race([task, cancelled]);
    } catch (error) {
      if (signal.aborted) this.#stopping = this.#stop(task);
      throw error;
    }
  }

  /** Wait a moment for a cancelled task; end the workers of one that does not stop. */
  async #stop(task: Promise<unknown>): Promise<void> {
    this.#audio?.terminate();
    this.#audio = undefined;
    const settled = task.then(
      () => true,
      () => true,
    );
    const late = new Promise<false>((resolve) => setTimeout(() => resolve(false), PATIENCE_MS));
    if (!(await Promise.race([settled, late]))) this.unload();
  }

  /** Generate; if a graphics driver ends the worker, start again in WebAssembly. */
  async #makeWithFallback(
    request: ClipRequest,
    callbacks: Callbacks,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      await this.#make(request, callbacks, signal);
    } catch (error) {
      const isDriver = this.machine.backend === "webgpu" && !(error instanceof UserError);
      if (!isDriver || signal.aborted) throw error;
      this.unload();
      this.machine = { ...this.machine, backend: "wasm" };
      callbacks.onFallback({ part: "unet", reason: "the graphics card failed" });
      callbacks.onRestart();
      await this.#make(request, callbacks, signal);
    }
  }

  async #make(request: ClipRequest, callbacks: Callbacks, signal: AbortSignal): Promise<void> {
    const plan = planOf(request);
    callbacks.onPhase("loading", 0, 1);
    const loading = this.load(request.model, callbacks.onFallback);
    const [conditions] = await Promise.all([
      this.#embed(request, plan, callbacks, signal),
      loading,
    ]);
    signal.throwIfAborted();
    const { fmt, timeline } = request;
    const shape = { fmt, loop: timeline.loop, samples: plan.samples };
    const audio = this.#begin(shape, callbacks.onSound, signal);
    try {
      await this.#generate(request, plan, conditions, callbacks, signal, audio.push);
    } finally {
      audio.end();
    }
    callbacks.onPhase("inverting", 0, 1);
    await audio.done;
  }

  async #embed(
    { model, timeline, settings }: ClipRequest,
    plan: RequestPlan,
    callbacks: Callbacks,
    signal: AbortSignal,
  ): Promise<Conditions[]> {
    const prompts = timeline.parts.map(({ prompt }) => anchored(model.bundle, prompt));
    const guided = isGuided(model.bundle, settings);
    const texts = guided ? [settings.negativePrompt, ...prompts] : prompts;
    const { machine } = this;
    const found = await this.#prompts.encode(model, texts, machine, callbacks.onFallback, signal);
    const unread = found.flatMap((embedding) => embedding.unread);
    if (unread.length) callbacks.onUnread(unread);
    const negative = guided ? found[0] : undefined;
    const positive = guided ? found.slice(1) : found;
    return plan.weights.map((weights) => ({
      positive: mixEmbeddings(positive, weights),
      negative,
    }));
  }

  async #generate(
    { seed, settings, timeline }: ClipRequest,
    { windows, frames, long }: RequestPlan,
    conditions: Conditions[],
    callbacks: Callbacks,
    signal: AbortSignal,
    push: (image: MelImage) => void,
  ): Promise<void> {
    const { worker } = this.#loaded as Loaded;
    const { loop } = timeline;
    const held: MelImage[] = [];
    let given = 0;
    const give = (image: MelImage) => {
      const piece = imageColumns(image, 0, Math.min(image.frames, frames - given));
      given += piece.frames;
      callbacks.onColumns(piece, frames);
      push(piece);
    };
    const job = { seed, settings, conditions, windows, long, loop };
    await worker.call("generate", job, {
      signal,
      onEvent(event) {
        if (signal.aborted) return;
        if (event.kind === "fallback") callbacks.onFallback(event.fallback);
        else if (event.kind === "step") {
          callbacks.onPreview(event.denoised);
          const isDenoised = event.done === event.total;
          callbacks.onPhase(isDenoised ? "decoding" : "denoising", event.done, event.total);
        } else if (loop) held.push(event.image);
        else give(event.image);
      },
    });
    if (loop) give(stretchLoop(held.length ? joined(held) : emptyImage(0, 0, 1), frames));
  }

  /** Start the sound of an image whose columns follow. */
  #begin(
    shape: { fmt: MelFormat; loop: boolean; samples: number },
    onSound: (sound: Sound) => void,
    signal: AbortSignal,
  ) {
    this.#audio ??= startAudioWorker();
    const audio = this.#audio;
    const onEvent = (sound: Sound) => {
      if (!signal.aborted) onSound(sound);
    };
    const done = audio.call("begin", { ...shape, quality: "default" }, { onEvent, signal });
    done.catch(() => undefined); // awaited later, unless generation fails before
    return {
      done,
      push: (image: MelImage) => void audio.call("columns", image).catch(() => undefined),
      end: () => void audio.call("end", undefined).catch(() => undefined),
    };
  }
}

/** Run a task once no other tab is generating. */
async function inTurn(
  signal: AbortSignal,
  callbacks: Callbacks,
  task: () => Promise<void>,
): Promise<void> {
  const free = await navigator.locks.request(MAKING_LOCK, { ifAvailable: true }, async (lock) => {
    if (lock) await task();
    return Boolean(lock);
  });
  if (free) return;
  callbacks.onPhase("waiting", 0, 1);
  await navigator.locks.request(MAKING_LOCK, { signal }, task);
}
