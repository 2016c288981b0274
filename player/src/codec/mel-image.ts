/** Mel images in memory, frame by frame, so that columns can be appended as they are decoded. */

export interface MelImage {
  /** Mel rows, the lowest frequency first. */
  rows: number;
  frames: number;
  /** 1 (mono) or 3 (mid, side, balance; or nothing, left, right). */
  channels: number;
  /** `levels[(frame * rows + row) * channels + channel]`, 0..255. */
  levels: Uint8Array<ArrayBuffer>;
}

export function emptyImage(rows: number, frames: number, channels: number): MelImage {
  return { rows, frames, channels, levels: new Uint8Array(rows * frames * channels) };
}

/** One channel of columns `start` to `stop`, frame by frame. */
export function channel(
  image: MelImage,
  which: number,
  start = 0,
  stop = image.frames,
): Uint8Array {
  const { rows, channels, levels } = image;
  const found = new Uint8Array((stop - start) * rows);
  let from = start * rows * channels + which;
  for (let i = 0; i < found.length; i++, from += channels) found[i] = levels[from];
  return found;
}

/** Columns `start` to `stop`, a view of the same memory. */
export function columns(image: MelImage, start: number, stop: number): MelImage {
  const size = image.rows * image.channels;
  return {
    ...image,
    frames: stop - start,
    levels: image.levels.subarray(start * size, stop * size),
  };
}

/** Images of equal rows and channels, one after the other. */
export function joined(images: readonly MelImage[]): MelImage {
  const [first] = images;
  const frames = images.reduce((sum, image) => sum + image.frames, 0);
  const all = emptyImage(first.rows, frames, first.channels);
  let at = 0;
  for (const image of images) {
    all.levels.set(image.levels, at);
    at += image.levels.length;
  }
  return all;
}
