/** Clips made on this device as cards: picture, prompt, sound. */

import { wavFile } from "../audio/wav";
import { type Clip, clipSeconds } from "./clip-store";
import { fileName } from "./clip-view";
import { button, byId, download, fromTemplate, shownSeconds, within } from "./dom";
import { drawImage } from "./picture";
import { type Playback, Track } from "./playback";

export interface ClipGalleryActions {
  open(clip: Clip): void;
  add(clip: Clip): void;
  remove(clip: Clip): void;
  drag(event: DragEvent, clip: Clip): void;
}

export class ClipGallery {
  readonly #grid = within(byId("gallery", HTMLElement), ".grid", HTMLElement);
  readonly #cards = new Map<string, HTMLElement>();

  constructor(
    readonly playback: Playback,
    readonly actions: ClipGalleryActions,
  ) {}

  show(clips: readonly Clip[]): void {
    const ids = new Set(clips.map(({ id }) => id));
    for (const [id, card] of this.#cards) {
      if (ids.has(id)) continue;
      card.remove();
      this.#cards.delete(id);
    }
    for (const [place, clip] of clips.entries()) {
      const card = this.#cards.get(clip.id) ?? this.#card(clip);
      this.#cards.set(clip.id, card);
      if (this.#grid.children[place] !== card) {
        this.#grid.insertBefore(card, this.#grid.children[place] ?? null);
      }
    }
    byId("gallery", HTMLElement).hidden = clips.length === 0;
    within(byId("gallery-title", HTMLElement), "small", HTMLElement).textContent =
      `${clips.length || ""}`;
  }

  #card(clip: Clip): HTMLElement {
    const card = fromTemplate("clip");
    drawImage(within(card, "canvas", HTMLCanvasElement), clip.image, clip.fmt);
    within(card, "h3", HTMLElement).textContent = clip.title;
    within(card, ".facts", HTMLElement).textContent = factsOf(clip);
    const label = (selector: string, text: string) =>
      button(card, selector).setAttribute("aria-label", `${text} ${clip.title}`);
    label(".open", "Show");
    label(".play", "Play");
    label(".add", "Add to the timeline:");
    label(".save", "Download WAV of");
    label(".remove", "Remove");
    button(card, ".open").onclick = () => this.actions.open(clip);
    button(card, ".add").onclick = () => this.actions.add(clip);
    button(card, ".remove").onclick = () => this.actions.remove(clip);
    button(card, ".save").onclick = () => {
      const sound = trackOf(clip).sound();
      download(`${clipFile(clip)}.wav`, wavFile(sound, clip.fmt.sr), "audio/wav");
    };
    card.ondragstart = (event) => this.actions.drag(event, clip);
    this.#setUpPlay(button(card, ".play"), clip);
    return card;
  }

  #setUpPlay(play: HTMLButtonElement, clip: Clip): void {
    let track: Track | undefined; // there while it plays: it takes twice the memory of what is kept
    const view = {
      onTime: () => undefined,
      onPlaying: (playing: boolean) => {
        play.setAttribute("aria-pressed", String(playing));
        if (!playing) track = undefined;
      },
    };
    play.onclick = () => {
      if (track && this.playback.isPlaying(track)) {
        this.playback.stop();
        return;
      }
      track = trackOf(clip);
      void this.playback.play(track, view);
    };
  }
}

export function factsOf(clip: Clip): string {
  const seconds = shownSeconds(clipSeconds(clip));
  if (!clip.recipe) return seconds;
  const { seed, settings } = clip.recipe;
  return [seconds, `seed ${seed}`, `${settings.steps} steps`, clip.loop ? "loop" : ""]
    .filter(Boolean)
    .join(" · ");
}

export const clipFile = ({ title, recipe }: Clip): string => fileName(title, recipe?.seed ?? 0);

/** A kept clip's sound. */
export function trackOf({ sound, fmt, loop }: Clip): Track {
  const track = new Track(fmt.sr, sound[0].length, loop);
  track.add(sound.map((samples) => Float32Array.from(samples, (value) => value / 32767)));
  track.end();
  return track;
}
