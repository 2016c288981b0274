/** Mel images on a canvas, in the colours of all our pages (`INK` of dmm/pages.py). */

import type { MelFormat } from "../codec/format";
import type { MelImage } from "../codec/mel-image";

const INK = [
  [8, 7, 22],
  [54, 16, 92],
  [140, 34, 106],
  [222, 76, 74],
  [252, 163, 88],
  [252, 250, 214],
];
/** Widest canvas, pixels; of longer pieces each pixel shows the loudest of several columns. */
const WIDEST = 8192;

/** Red, green, blue and alpha of each level. */
const COLOURS = Uint32Array.from({ length: 256 }, (_, level) => {
  const place = (level / 255) * (INK.length - 1);
  const stop = Math.min(Math.floor(place), INK.length - 2);
  const [r, g, b] = INK[stop].map((from, c) =>
    Math.round(from + (INK[stop + 1][c] - from) * (place - stop)),
  );
  return (255 << 24) | (b << 16) | (g << 8) | r;
});

/** A canvas that takes columns from left to right. */
export class Picture {
  #frames = 0;
  #given = 0;
  #grouped = 1;
  #held: Uint8Array | undefined;

  constructor(
    readonly canvas: HTMLCanvasElement,
    readonly fmt: MelFormat,
  ) {}

  /** Clear it for an image of so many columns. */
  begin(frames: number): void {
    this.#frames = frames;
    this.#given = 0;
    this.#grouped = Math.ceil(frames / WIDEST);
    this.#held = undefined;
    this.canvas.width = Math.ceil(frames / this.#grouped);
    this.canvas.height = this.fmt.n_mels;
  }

  add(image: MelImage): void {
    const context = this.canvas.getContext("2d");
    if (!context || !image.frames) return;
    const from = Math.floor(this.#given / this.#grouped);
    const to = Math.ceil((this.#given + image.frames) / this.#grouped);
    const pixels = context.createImageData(to - from, image.rows);
    const colours = new Uint32Array(pixels.data.buffer);
    for (let frame = 0; frame < image.frames; frame++) {
      const x = Math.floor((this.#given + frame) / this.#grouped) - from;
      const levels = this.#loudest(this.#given + frame, shownLevels(image, frame, this.fmt));
      for (let row = 0; row < image.rows; row++) {
        colours[(image.rows - 1 - row) * (to - from) + x] = COLOURS[levels[row]];
      }
    }
    context.putImageData(pixels, from, 0);
    this.#given += image.frames;
  }

  /** Show a small picture of levels 0..255, (rows, columns) from the top, in place of the image. */
  sketch(levels: Float32Array, rows: number, columns: number): void {
    this.canvas.width = columns;
    this.canvas.height = rows;
    const context = this.canvas.getContext("2d");
    if (!context) return;
    const pixels = context.createImageData(columns, rows);
    const colours = new Uint32Array(pixels.data.buffer);
    for (let i = 0; i < colours.length; i++) {
      colours[i] = COLOURS[Math.round(Math.min(Math.max(levels[i], 0), 255))];
    }
    context.putImageData(pixels, 0, 0);
    this.#frames = 0;
  }

  get frames(): number {
    return this.#frames;
  }

  /** Of the columns that share a pixel. */
  #loudest(frame: number, levels: Uint8Array): Uint8Array {
    if (this.#grouped === 1) return levels;
    const held = frame % this.#grouped ? this.#held : undefined;
    this.#held = held ? levels.map((level, row) => Math.max(level, held[row])) : levels;
    return this.#held;
  }
}

/** Draw a whole image. */
export function drawImage(canvas: HTMLCanvasElement, image: MelImage, fmt: MelFormat): void {
  const picture = new Picture(canvas, fmt);
  picture.begin(image.frames);
  picture.add(image);
}

/** One column as brightness: loud is bright. */
function shownLevels(image: MelImage, frame: number, fmt: MelFormat): Uint8Array {
  const { rows, channels, levels } = image;
  const column = levels.subarray(frame * rows * channels, (frame + 1) * rows * channels);
  const sides = fmt.stereo === "left-right" ? [1, 2] : [0, 1];
  return Uint8Array.from({ length: rows }, (_, row) => {
    const level =
      channels === 1
        ? column[row]
        : Math.max(column[row * channels + sides[0]], column[row * channels + sides[1]]);
    return fmt.level_scale === "power" ? 255 - level : level;
  });
}
