/** Clips in a row, laid over each other a little, to be joined into one piece. */

import { frameRate } from "../codec/format";
import type { MelImage } from "../codec/mel-image";
import { joinImages } from "../songs/joining";
import { type Clip, clipSeconds } from "./clip-store";
import { button, byId, fromTemplate, shownSeconds, within } from "./dom";
import { announce, warn } from "./notes";
import { drawImage } from "./picture";

/** Pixels a second. */
const WIDTH = 38;
const KEY = "dmm-player-timeline";

export interface TimelineActions {
  play(clip: Clip): void;
  /** Make a piece of the joined image. */
  join(clips: readonly Clip[], image: MelImage): void;
}

export class ClipTimeline {
  readonly #root = byId("timeline", HTMLElement);
  readonly #track = within(this.#root, "ol", HTMLElement);
  readonly #overlap = byId("overlap", HTMLInputElement);
  #clips: Clip[] = [];
  /** The clip being dragged, and its place if it is in the row already. */
  #dragged: { clip: Clip; from: number | undefined } | undefined;

  constructor(readonly actions: TimelineActions) {
    byId("join", HTMLButtonElement).onclick = () => this.#join();
    this.#overlap.onchange = () => this.#changed("overlap changed");
    this.#setUpDrop();
  }

  /** The row as it was when the page was last open. */
  recall(known: readonly Clip[]): void {
    const ids: string[] = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    this.#clips = ids.flatMap((id) => known.find((clip) => clip.id === id) ?? []);
    this.#show();
  }

  add(clip: Clip, place = this.#clips.length): void {
    const [first] = this.#clips;
    if (first && !fits(first, clip)) {
      warn("Only clips of one mel format can be joined; this one is of another model.");
      return;
    }
    this.#clips.splice(place, 0, clip);
    this.#changed(`${clip.title} added, ${this.#clips.length} in the timeline`);
  }

  /** A clip that is no longer kept. */
  forget(id: string): void {
    this.#clips = this.#clips.filter((clip) => clip.id !== id);
    this.#changed("");
  }

  startDrag(event: DragEvent, clip: Clip, from?: number): void {
    this.#dragged = { clip, from };
    event.dataTransfer?.setData("text/plain", clip.title);
    this.#root.hidden = false; // a place to drop the first one
  }

  get #overlapSeconds(): number {
    return Math.min(Math.max(Number(this.#overlap.value) || 0, 0), 4);
  }

  #changed(announcement: string): void {
    localStorage.setItem(KEY, JSON.stringify(this.#clips.map(({ id }) => id)));
    this.#show();
    announce(announcement);
  }

  #show(): void {
    this.#root.hidden = this.#clips.length === 0;
    byId("join", HTMLButtonElement).disabled = this.#clips.length < 2;
    const overlap = this.#overlapSeconds * Math.max(0, this.#clips.length - 1);
    const total = this.#clips.reduce((sum, clip) => sum + clipSeconds(clip), -overlap);
    within(byId("timeline-title", HTMLElement), "small", HTMLElement).textContent =
      `${this.#clips.length} clips, ${shownSeconds(Math.max(0, total))}`;
    this.#track.replaceChildren(...this.#clips.map((clip, place) => this.#item(clip, place)));
  }

  #item(clip: Clip, place: number): HTMLElement {
    const item = fromTemplate("placed");
    const overlap = place ? this.#overlapSeconds * WIDTH : 0;
    item.style.width = `${clipSeconds(clip) * WIDTH}px`;
    item.style.marginLeft = `${-overlap}px`;
    within(item, "i", HTMLElement).style.width = `${overlap}px`;
    item.tabIndex = place ? -1 : 0;
    const of = `${place + 1} of ${this.#clips.length}`;
    item.setAttribute("aria-label", `${of}: ${clip.title}, ${shownSeconds(clipSeconds(clip))}`);
    drawImage(within(item, "canvas", HTMLCanvasElement), clip.image, clip.fmt);
    within(item, ".label", HTMLElement).textContent = clip.title;
    button(item, ".left").onclick = () => this.#move(place, place - 1);
    button(item, ".right").onclick = () => this.#move(place, place + 1);
    button(item, ".out").onclick = () => this.#takeOut(place);
    item.onkeydown = (event) => this.#onKey(event, place);
    item.ondblclick = () => this.actions.play(clip);
    item.ondragstart = (event) => {
      this.startDrag(event, clip, place);
      item.classList.add("dragged");
    };
    item.ondragend = () => item.classList.remove("dragged");
    item.onfocus = () => {
      for (const other of this.#items()) other.tabIndex = other === item ? 0 : -1;
    };
    return item;
  }

  #items(): HTMLElement[] {
    return [...this.#track.children] as HTMLElement[];
  }

  #move(from: number, to: number): void {
    if (to < 0 || to >= this.#clips.length) return;
    const [clip] = this.#clips.splice(from, 1);
    this.#clips.splice(to, 0, clip);
    this.#changed(`${clip.title} is number ${to + 1}`);
    this.#items()[to]?.focus();
  }

  #takeOut(place: number): void {
    const [clip] = this.#clips.splice(place, 1);
    this.#changed(`${clip.title} taken out`);
    (this.#items()[place] ?? this.#items().at(-1))?.focus();
  }

  #onKey(event: KeyboardEvent, place: number): void {
    if (event.target instanceof HTMLButtonElement) return;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const items = this.#items();
    if (step && event.shiftKey) this.#move(place, place + step);
    else if (step) items[place + step]?.focus();
    else if (event.key === "Home") items[0].focus();
    else if (event.key === "End") items.at(-1)?.focus();
    else if (event.key === "Delete" || event.key === "Backspace") this.#takeOut(place);
    else if (event.key === "Enter" || event.key === " ") this.actions.play(this.#clips[place]);
    else return;
    event.preventDefault();
  }

  #setUpDrop(): void {
    this.#track.ondragover = (event) => {
      if (!this.#dragged) return;
      event.preventDefault();
      this.#mark(this.#dropPlace(event));
    };
    this.#track.ondragleave = () => this.#mark(-1);
    this.#track.ondrop = (event) => {
      event.preventDefault();
      const place = this.#dropPlace(event);
      const dragged = this.#dragged;
      this.#dragged = undefined;
      this.#mark(-1);
      if (!dragged) return;
      if (dragged.from === undefined) this.add(dragged.clip, place);
      else this.#move(dragged.from, place > dragged.from ? place - 1 : place);
    };
  }

  #dropPlace(event: DragEvent): number {
    const place = this.#items().findIndex((item) => {
      const { left, width } = item.getBoundingClientRect();
      return event.clientX < left + width / 2;
    });
    return place < 0 ? this.#clips.length : place;
  }

  #mark(place: number): void {
    for (const [i, item] of this.#items().entries()) item.classList.toggle("before", i === place);
    this.#track.classList.toggle("over", place >= 0);
  }

  #join(): void {
    const [{ fmt }] = this.#clips;
    const overlap = Math.round(this.#overlapSeconds * frameRate(fmt));
    const images = this.#clips.map((clip) => clip.image);
    this.actions.join(this.#clips, joinImages(images, overlap, fmt));
  }
}

const fits = (a: Clip, b: Clip): boolean => JSON.stringify(a.fmt) === JSON.stringify(b.fmt);
