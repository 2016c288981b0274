/** The whole page: joins its parts. All that lasts is on this device, so a reload loses nothing. */

import { bundleBytes, type NamedBundle, type PartName } from "../bundle/schema";
import type { MelFormat } from "../codec/format";
import type { Engine } from "../engine/engine";
import type { Fallback } from "../workers/calls";
import { ClipGallery, clipFile, factsOf, trackOf } from "./clip-gallery";
import { ClipMaker } from "./clip-maker";
import { allClips, type Clip, putClip, removeClip } from "./clip-store";
import { ClipTimeline } from "./clip-timeline";
import { ClipView } from "./clip-view";
import { byId, within } from "./dom";
import { copyLink, noteOfMissing } from "./links";
import { describeMachine } from "./machine";
import { formatOf, ModelLibrary, sourceOf } from "./model-library";
import { ModelsDialog } from "./models-dialog";
import { attempt, notify, warn } from "./notes";
import { Playback } from "./playback";
import { RequestForm } from "./request-form";
import { fromFragment, type Recipe, type SharedRecipe } from "./share";
import { unfinished } from "./unfinished";

/** Larger models are brought here only when the user says so. */
const UNASKED_BYTES = 64e6;
const MODEL_KEY = "dmm-player-model";

interface Chosen {
  model: NamedBundle;
  fmt: MelFormat;
}

export class Page {
  readonly library = new ModelLibrary();
  readonly playback = new Playback();
  readonly view = new ClipView(this.playback);
  readonly form = new RequestForm();
  readonly models: ModelsDialog;
  readonly maker: ClipMaker;
  readonly gallery: ClipGallery;
  readonly timeline: ClipTimeline;
  #chosen: Chosen | undefined;
  #clips: Clip[] = [];
  /** How the clip in view was made. */
  #recipe: Recipe | undefined;
  readonly #fallbacks = new Map<PartName, string>();

  constructor(readonly engine: Engine) {
    this.models = new ModelsDialog(this.library, () => engine.machine.backend, {
      use: (model) => this.use(model),
      arrived: (model) => this.#useWhenIdle(model),
      unload: () => this.#unload(),
      removed: (id) => this.#removed(id),
    });
    this.maker = new ClipMaker({
      engine,
      view: this.view,
      keep: (clip, inView) => this.#keep(clip, inView),
      onFallback: (fallback) => this.#onFallback(fallback),
    });
    this.gallery = new ClipGallery(this.playback, {
      open: (clip) => this.#open(clip),
      add: (clip) => this.timeline.add(clip),
      remove: (clip) => void attempt("removing the clip", () => this.#forget(clip)),
      drag: (event, clip) => this.timeline.startDrag(event, clip),
    });
    this.timeline = new ClipTimeline({
      play: (clip) => {
        this.#open(clip);
        this.view.play();
      },
      join: (clips, image) => {
        const title = clips.map((clip) => clip.title).join(" + ");
        if (!this.maker.busy) void this.maker.join(image, clips[0].fmt, title);
      },
    });
    this.library.onChange = () => this.models.show();
    this.#setUpButtons();
  }

  /** Show what is here, then choose a model: a link's, the last one, or the first there is. */
  async start(): Promise<void> {
    this.#showMachine();
    this.#clips = (await attempt("reading the clips on this device", allClips)) ?? [];
    this.gallery.show(this.#clips);
    this.timeline.recall(this.#clips);
    const left = unfinished.take();
    if (left)
      warn(
        `${left} was not finished: the tab was put to sleep or closed. Press Make to make it again.`,
      );
    await this.library.refresh();
    const shared = fromFragment(location.hash);
    if (!shared || !(await this.#openLink(shared))) await this.#chooseFirst();
    addEventListener("hashchange", () => {
      const link = fromFragment(location.hash);
      if (link) void attempt("opening the link", () => this.#openLink(link));
    });
  }

  /** Make this the model. */
  async use(model: NamedBundle): Promise<void> {
    const fmt = await formatOf(model);
    if (this.#chosen && this.#chosen.model.id !== model.id) this.#unload();
    this.#chosen = { model, fmt };
    this.models.current = model.id;
    localStorage.setItem(MODEL_KEY, model.id);
    this.form.setModel(model.bundle, fmt);
    this.#showMachine();
    byId("make", HTMLButtonElement).disabled = false;
    this.models.show();
  }

  /** Make this the model once nothing is being made, unless another is chosen until then. */
  async #useWhenIdle(model: NamedBundle): Promise<void> {
    const chosen = this.#chosen;
    await this.maker.idle;
    if (this.#chosen === chosen) await this.use(model);
  }

  async #chooseFirst(): Promise<void> {
    const last = localStorage.getItem(MODEL_KEY);
    const model = (last && this.library.find(last)) || this.library.stored[0];
    if (model) await this.use(model);
    await this.library.refreshOffers();
    if (model) return;
    const [offer] = this.library.offered.values();
    if (!offer) {
      notify("Choose a model to begin with.");
      this.models.open();
    } else if (bundleBytes(offer.model.bundle) <= UNASKED_BYTES) {
      await this.models.get({ kind: "url", base: offer.base }, offer.model.id);
    } else {
      this.models.open();
    }
  }

  /** True if the link's model is here, now or already. */
  async #openLink(shared: SharedRecipe): Promise<boolean> {
    this.form.fill(shared);
    await this.library.refreshOffers();
    const here = this.library.find(shared.model);
    if (here) {
      await this.use(here);
      this.form.fill(shared);
      return true;
    }
    const offer = [...this.library.offered.values()].find(({ model }) =>
      model.id.startsWith(shared.model),
    );
    if (offer) {
      await this.models.get({ kind: "url", base: offer.base }, offer.model.id);
      this.form.fill(shared);
      return true;
    }
    warn(noteOfMissing(shared));
    if (shared.from) byId("address", HTMLInputElement).value = shared.from;
    return false;
  }

  #setUpButtons(): void {
    this.form.onIntent = () => {
      if (this.#chosen && !this.maker.busy) this.#warmUp(this.#chosen.model);
    };
    this.form.element.onsubmit = (event) => {
      event.preventDefault();
      if (this.maker.busy) this.maker.cancel();
      else void this.#make();
    };
    byId("link", HTMLButtonElement).onclick = () =>
      void attempt("copying the link", () => copyLink(this.#recipe, this.library));
    byId("add", HTMLButtonElement).onclick = () => {
      const clip = this.#clips.find(({ image }) => image === this.#shownImage);
      if (clip) this.timeline.add(clip);
    };
  }

  /** Load the model while the prompt is typed. */
  #warmUp(model: NamedBundle): void {
    this.models.loaded = model.id;
    const onFallback = (fallback: Fallback) => this.#onFallback(fallback);
    void this.engine.load(model, onFallback).catch(() => undefined); // Make will say why
  }

  async #make(): Promise<void> {
    if (!this.#chosen) return;
    const { model, fmt } = this.#chosen;
    const { timeline, seed, settings } = this.form.values();
    const recipe = { model: model.id, timeline, seed, settings, from: sourceOf(model.id) };
    this.#recipe = recipe;
    this.models.loaded = model.id;
    const made = await this.maker.make({ model, fmt, timeline, seed, settings }, recipe);
    if (made) this.form.nextSeed();
  }

  #shownImage: Clip["image"] | undefined;

  async #keep(clip: Clip, inView: boolean): Promise<void> {
    if (inView) this.#noteInView(clip);
    this.#clips = [clip, ...this.#clips];
    this.gallery.show(this.#clips);
    await putClip(clip);
  }

  #open(clip: Clip): void {
    const track = trackOf(clip);
    this.view.begin(
      { title: clip.title, facts: factsOf(clip), fmt: clip.fmt, track, file: clipFile(clip) },
      clip.image.frames,
    );
    this.view.addColumns(clip.image, clip.image.frames);
    this.view.finish();
    this.#noteInView(clip);
    byId("stage", HTMLElement).focus();
  }

  #noteInView({ image, recipe }: Clip): void {
    this.#shownImage = image;
    this.#recipe = recipe;
    byId("link", HTMLButtonElement).disabled = !recipe;
  }

  async #forget(clip: Clip): Promise<void> {
    await removeClip(clip.id);
    this.#clips = this.#clips.filter(({ id }) => id !== clip.id);
    this.gallery.show(this.#clips);
    this.timeline.forget(clip.id);
  }

  #unload(): void {
    this.maker.cancel();
    this.engine.unload();
    this.models.loaded = "";
    this.#fallbacks.clear();
  }

  #removed(id: string): void {
    if (this.#chosen?.model.id !== id) return;
    this.#unload();
    this.#chosen = undefined;
    this.models.current = "";
    byId("make", HTMLButtonElement).disabled = true;
    this.#showMachine();
  }

  #onFallback({ part, reason }: Fallback): void {
    this.#fallbacks.set(part, reason);
    this.#showMachine();
    notify(describeMachine(this.engine.machine, this.#fallbacks).long);
  }

  #showMachine(): void {
    const machine = describeMachine(this.engine.machine, this.#fallbacks);
    const label = byId("model", HTMLButtonElement);
    within(label, ".name", HTMLElement).textContent =
      this.#chosen?.model.bundle.name ?? "Choose a model";
    within(label, "small", HTMLElement).textContent = machine.short;
    this.models.setMachine(machine.long);
  }
}
