/** The clip that is made or looked at: picture, sound, files, link. */

import { flacFile } from "../audio/flac";
import { pngFile } from "../audio/png";
import { wavFile } from "../audio/wav";
import type { MelFormat } from "../codec/format";
import { joined, type MelImage } from "../codec/mel-image";
import { button, byId, download, shownSeconds, slug, within } from "./dom";
import { attempt } from "./notes";
import { Picture } from "./picture";
import type { Playback, PlaybackListener, Track } from "./playback";
import { type TimeSlider, timeSlider } from "./time-slider";

export interface Shown {
  title: string;
  facts: string;
  fmt: MelFormat;
  track: Track;
  /** Its name as a file, without what kind it is. */
  file: string;
}

export class ClipView {
  readonly #root = byId("stage", HTMLElement);
  readonly #canvas = within(this.#root, "canvas", HTMLCanvasElement);
  readonly #play = button(this.#root, "button.play");
  readonly #slider: TimeSlider;
  readonly #view: PlaybackListener;
  #shown: Shown | undefined;
  #picture: Picture | undefined;
  #pieces: MelImage[] = [];
  #time = 0;

  constructor(readonly playback: Playback) {
    const picture = within(this.#root, ".picture", HTMLElement);
    this.#slider = timeSlider(
      picture,
      (time) => this.seek(time),
      () => this.toggle(),
    );
    this.#view = {
      onTime: (time) => this.#setTime(time),
      onPlaying: (playing) => this.#play.setAttribute("aria-pressed", String(playing)),
    };
    this.#play.onclick = () => this.toggle();
    const save = (id: string, doing: string, action: (shown: Shown) => Promise<void>) => {
      byId(id, HTMLButtonElement).onclick = () =>
        void attempt(doing, async () => {
          if (this.#shown) await action(this.#shown);
        });
    };
    save("wav", "writing the WAV", async ({ track, file }) =>
      download(`${file}.wav`, wavFile(track.sound(), track.sr), "audio/wav"),
    );
    save("flac", "writing the FLAC", async ({ track, file }) =>
      download(`${file}.flac`, flacFile(track.sound(), track.sr), "audio/flac"),
    );
    save("png", "writing the picture", async ({ fmt, file }) =>
      download(`${file}.png`, await pngFile(this.image(), fmt), "image/png"),
    );
  }

  /** Begin with a clip of which nothing is there yet. */
  begin(shown: Shown, frames: number): void {
    this.playback.stop();
    this.#shown = shown;
    this.#pieces = [];
    this.#picture = new Picture(this.#canvas, shown.fmt);
    this.#picture.begin(frames);
    within(this.#root, ".hint", HTMLElement).hidden = true;
    within(this.#root, "h2", HTMLElement).textContent = shown.title;
    within(this.#root, ".facts", HTMLElement).textContent = shown.facts;
    this.#canvas.setAttribute("aria-label", `Mel spectrogram of ${shown.title}`);
    this.#slider.setLength(shown.track.seconds);
    this.#setTime(0);
    this.#enable(false);
  }

  /** A sketch of what is being made, (rows, columns). */
  sketch(levels: Float32Array, rows: number, columns: number): void {
    if (!this.#pieces.length) this.#picture?.sketch(levels, rows, columns);
  }

  addColumns(image: MelImage, frames: number): void {
    if (!this.#pieces.length) this.#picture?.begin(frames);
    this.#pieces.push(image);
    this.#picture?.add(image);
  }

  /** The whole image. */
  image(): MelImage {
    return joined(this.#pieces);
  }

  /** Begin the same clip again. */
  restart(): void {
    this.playback.stop();
    this.#pieces = [];
  }

  /** All of it is there. */
  finish(): void {
    this.#enable(true);
  }

  play(): void {
    if (!this.#shown) return;
    const from = this.#time < this.#shown.track.seconds - 0.05 ? this.#time : 0;
    void attempt("playing", () =>
      this.playback.play(this.#shown?.track as Track, this.#view, from),
    );
  }

  toggle(): void {
    if (!this.#shown?.track.samples) return;
    if (this.playback.isPlaying(this.#shown.track)) this.playback.stop();
    else this.play();
  }

  seek(time: number): void {
    if (!this.#shown?.track.samples) return;
    const { track } = this.#shown;
    const playing = this.playback.isPlaying(track);
    this.playback.stop();
    this.#setTime(time);
    if (playing) this.play();
  }

  shows(track: Track): boolean {
    return this.#shown?.track === track;
  }

  /** Nothing is shown any more. */
  clear(): void {
    this.playback.stop();
    this.#shown = undefined;
    this.#pieces = [];
    this.#canvas.width = 0;
    within(this.#root, ".hint", HTMLElement).hidden = false;
    within(this.#root, "h2", HTMLElement).textContent = "Nothing made yet";
    within(this.#root, ".facts", HTMLElement).textContent = "";
    this.#slider.setLength(0);
    this.#enable(false);
  }

  #setTime(time: number): void {
    this.#time = time;
    this.#slider.set(time);
    const total = this.#shown?.track.seconds ?? 0;
    within(this.#root, ".time", HTMLElement).textContent =
      `${shownSeconds(time)} of ${shownSeconds(total)}`;
  }

  #enable(whole: boolean): void {
    for (const id of ["wav", "flac", "png", "link", "add"]) {
      byId(id, HTMLButtonElement).disabled = !whole;
    }
    this.#play.disabled = !whole && !this.#shown;
  }
}

/** A clip's name as a file. */
export const fileName = (title: string, seed: number): string => `${slug(title)}-${seed}`;
