/** From a request to a clip in view and in the gallery, with progress, cancelling and notes. */

import { toInt16 } from "../audio/pcm";
import type { MelFormat } from "../codec/format";
import { joined, type MelImage } from "../codec/mel-image";
import type { Callbacks, Engine, Phase } from "../engine/engine";
import { type ClipRequest, isClip, planOf } from "../engine/request";
import type { Fallback } from "../workers/calls";
import type { Clip } from "./clip-store";
import { type ClipView, fileName } from "./clip-view";
import { byId, within } from "./dom";
import { announce, showError, warn } from "./notes";
import { Track } from "./playback";
import { cellBrightness, fitPreview, type PreviewMap, sketchLatent } from "./preview";
import type { Recipe } from "./share";
import { unfinished } from "./unfinished";

const PHASES: Record<Phase, string> = {
  waiting: "another tab of this page is making something; this one waits for its turn",
  loading: "loading the model",
  encoding: "reading the prompt",
  denoising: "denoising the picture",
  decoding: "decoding the picture",
  inverting: "turning the picture into sound",
};

export interface ClipMakerHost {
  engine: Engine;
  view: ClipView;
  /** Keep what was made; `inView` if the view shows it. */
  keep(clip: Clip, inView: boolean): Promise<void>;
  /** A part went on in WebAssembly. */
  onFallback(fallback: Fallback): void;
}

/** Sound and image of what is being made, as far as they are there. */
interface Job {
  track: Track;
  pieces: MelImage[];
}

export class ClipMaker {
  /** Resolves when nothing is being made. */
  idle = Promise.resolve();
  #control: AbortController | undefined;
  readonly #maps = new Map<string, PreviewMap>();
  readonly #make = byId("make", HTMLButtonElement);
  readonly #job = byId("job", HTMLElement);

  constructor(readonly host: ClipMakerHost) {}

  get busy(): boolean {
    return this.#control !== undefined;
  }

  cancel(): void {
    this.#control?.abort();
  }

  /** Make a clip or a long piece; true if it was made. */
  async make(request: ClipRequest, recipe: Recipe): Promise<boolean> {
    const plan = planOf(request);
    const { fmt, timeline } = request;
    const title = timeline.parts.map(({ prompt }) => prompt).join(" → ");
    const track = new Track(fmt.sr, plan.samples, timeline.loop);
    const job: Job = { track, pieces: [] };
    const facts = `seed ${request.seed} · ${request.settings.steps} steps · ${request.model.bundle.name}`;
    const { view, engine } = this.host;
    view.begin({ title, facts, fmt, track, file: fileName(title, request.seed) }, plan.frames);
    return this.#run(`making “${title}”`, job, async (signal) => {
      await engine.make(request, this.#callbacks(request, job), signal);
      return { title, recipe, fmt, loop: timeline.loop };
    });
  }

  /** Make a piece of a joined image. */
  async join(image: MelImage, fmt: MelFormat, title: string): Promise<boolean> {
    const track = new Track(fmt.sr, image.frames * fmt.hop_length, false);
    const { view, engine } = this.host;
    view.begin(
      { title, facts: "joined from clips", fmt, track, file: fileName(title, 0) },
      image.frames,
    );
    view.addColumns(image, image.frames);
    return this.#run("joining the clips", { track, pieces: [image] }, async (signal) => {
      this.#showPhase("inverting", 0, 1);
      await engine.sound(image, fmt, (sound) => track.add(sound), signal);
      return { title, recipe: undefined, fmt, loop: false };
    });
  }

  async #run(
    doing: string,
    job: Job,
    task: (signal: AbortSignal) => Promise<Pick<Clip, "title" | "recipe" | "fmt" | "loop">>,
  ): Promise<boolean> {
    const control = new AbortController();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.idle = promise;
    this.#control = control;
    this.#setBusy(true);
    performance.clearMarks();
    performance.mark("dmm begun");
    unfinished.set(doing.replace(/^making /, ""));
    try {
      const made = await task(control.signal);
      control.signal.throwIfAborted(); // cancelled after its last sound
      job.track.end();
      performance.mark("dmm made");
      await this.#finish(made, job);
      return true;
    } catch (error) {
      this.#viewOf(job)?.clear();
      if (control.signal.aborted) announce("cancelled");
      else showError(error, doing);
      return false;
    } finally {
      this.#control = undefined;
      unfinished.done();
      this.#setBusy(false);
      resolve();
    }
  }

  /** The view while it shows this job; undefined once another clip was opened. */
  #viewOf({ track }: Job): ClipView | undefined {
    const { view } = this.host;
    return view.shows(track) ? view : undefined;
  }

  async #finish(made: Pick<Clip, "title" | "recipe" | "fmt" | "loop">, job: Job): Promise<void> {
    const { track, pieces } = job;
    const view = this.#viewOf(job);
    view?.finish();
    if (view && !view.playback.isPlaying(track)) view.play();
    announce(`${made.title} is made${view ? " and plays" : ""}`);
    const sound = track.sound().map((samples) => toInt16([samples]));
    const clip = {
      ...made,
      id: crypto.randomUUID(),
      made: Date.now(),
      image: joined(pieces),
      sound,
    };
    await this.host
      .keep(clip, view !== undefined)
      .catch((error) => showError(error, "keeping the clip"));
  }

  #callbacks({ model, fmt, timeline }: ClipRequest, job: Job): Callbacks {
    const { track, pieces } = job;
    const { channels, rows, columns, factor } = model.bundle.latent;
    let latest: Float32Array | undefined;
    let began = false;
    return {
      onPhase: (name, done, total) => this.#showPhase(name, done, total),
      onPreview: (latent) => {
        latest = latent;
        const sketch = sketchLatent(latent, channels, this.#maps.get(model.id));
        this.#viewOf(job)?.sketch(sketch, rows, columns);
      },
      onColumns: (image, frames) => {
        const isFirst = !this.#maps.has(model.id) && image.frames >= columns * factor;
        if (latest && isFirst && isClip(timeline, fmt) && image.channels === 1) {
          const brightness = cellBrightness(image.levels, fmt.n_mels, factor, columns);
          this.#maps.set(model.id, fitPreview(latest, channels, brightness));
        }
        pieces.push(image);
        this.#viewOf(job)?.addColumns(image, frames);
      },
      onSound: (sound) => {
        track.add(sound);
        if (began || timeline.loop) return;
        began = true;
        this.#viewOf(job)?.play();
      },
      onFallback: (fallback) => this.host.onFallback(fallback),
      onRestart: () => {
        this.#viewOf(job)?.restart();
        pieces.length = 0;
        track.clear();
        began = false;
      },
      onUnread: (words) => {
        warn(
          `The model reads 75 tokens of a prompt; it did not read the end: “${words.join(" ")}”. Shorten the prompt to have it all read.`,
        );
      },
    };
  }

  #showPhase(name: Phase, done: number, total: number): void {
    const bar = within(this.#job, "progress", HTMLProgressElement);
    const note = byId("job-note", HTMLElement);
    const text = PHASES[name];
    performance.mark(`dmm ${name}`, { detail: done }); // read by browsers' profilers and our benchmark
    if (note.dataset.phase !== name) announce(text);
    note.dataset.phase = name;
    note.textContent = total > 1 ? `${text}, ${done} of ${total}` : text;
    if (total > 1) bar.value = done / total;
    else bar.removeAttribute("value");
    document.title =
      total > 1 ? `${Math.floor((100 * done) / total)} % · dmm player` : document.title;
  }

  #setBusy(busy: boolean): void {
    this.#make.textContent = busy ? "Cancel" : "Make";
    this.#make.formNoValidate = busy;
    this.#make.classList.toggle("cancels", busy);
    this.#job.hidden = !busy;
    if (!busy) document.title = "dmm player: music from prompts, in this browser";
  }
}
