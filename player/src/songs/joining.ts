/** Mel images joined in the mel domain, at equal power (`crossfade` of dmm/songs/mel_crossfade.py). */

import type { MelFormat } from "../codec/format";
import { levelDecoder, levelEncoder } from "../codec/levels";
import { channel, columns, emptyImage, joined, type MelImage } from "../codec/mel-image";

/** One image of several, each laid over the end of the one before by so many columns. */
export function joinImages(images: readonly MelImage[], overlap: number, fmt: MelFormat): MelImage {
  const channels = Math.max(...images.map((image) => image.channels));
  const alike = images.map((image) => (image.channels < channels ? asStereo(image, fmt) : image));
  return alike.reduce((whole, next) => {
    const shared = Math.min(overlap, whole.frames, next.frames);
    const border = whole.frames - shared;
    return joined([
      columns(whole, 0, border),
      crossfade(columns(whole, border, whole.frames), columns(next, 0, shared), fmt),
      columns(next, shared, next.frames),
    ]);
  });
}

/** Both at once, the first giving way at equal power; of equal width. */
export function crossfade(end: MelImage, start: MelImage, fmt: MelFormat): MelImage {
  const mixed = emptyImage(end.rows, end.frames, end.channels);
  const toMagnitude = levelDecoder(fmt);
  const toLevels = levelEncoder(fmt);
  for (let which = 0; which < end.channels; which++) {
    const [a, b] = [end, start].map((image) => channel(image, which));
    const share = (i: number) => {
      const place = (Math.floor(i / end.rows) + 0.5) / end.frames;
      return Math.sin(0.5 * Math.PI * place) ** 2;
    };
    const isBalance = which === 2 && fmt.stereo === "mid-side";
    const levels = isBalance
      ? a.map((level, i) => Math.round((1 - share(i)) * level + share(i) * b[i]))
      : toLevels(addPower(toMagnitude(a), toMagnitude(b), share));
    for (let i = 0; i < levels.length; i++) mixed.levels[i * end.channels + which] = levels[i];
  }
  return mixed;
}

function addPower(a: Float32Array, b: Float32Array, share: (i: number) => number): Float32Array {
  return a.map((value, i) => Math.sqrt((1 - share(i)) * value ** 2 + share(i) * b[i] ** 2));
}

/** A grey image as three channels that sound the same. */
function asStereo(image: MelImage, fmt: MelFormat): MelImage {
  const wide = emptyImage(image.rows, image.frames, 3);
  for (const [i, level] of image.levels.entries()) {
    wide.levels.set(fmt.stereo === "left-right" ? [255, level, level] : [level, 0, 128], 3 * i);
  }
  return wide;
}
