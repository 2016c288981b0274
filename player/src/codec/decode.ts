/**
 * Mel image to sound: levels, mel inverse, a first phase, ADMM (dmm/codec/decode.py).
 *
 * Columns of a mono image may still be coming: sound follows them by a chunk, in bounded memory.
 */

import { ColumnSource, sourceOf } from "./column-source";
import { realFft } from "./fft";
import type { MelFormat } from "./format";
import { type Frames, type Samples, withoutEnds } from "./framing";
import type { MelImage } from "./mel-image";
import { type DecodingParts, midSide, type Sound, together } from "./mid-side";
import { reach, retrievePhase } from "./phase";
import { PhaseBlocks } from "./phase-blocks";

/** ADMM steps. */
export const ITERATIONS = { fast: 8, default: 32, best: 128 } as const;
export type Quality = keyof typeof ITERATIONS;
/** Sample value from which peaks are rounded off. */
const KNEE = 0.9;

/** Sound in blocks: one channel of a grey image, left and right of a colour image. */
export async function* streamDecode(
  pieces: AsyncIterable<MelImage>,
  fmt: MelFormat,
  quality: Quality = "default",
  loop = false,
): AsyncGenerator<Sound> {
  yield* decodeSource(new ColumnSource(pieces), fmt, quality, loop);
}

/** Sound of a whole image. */
export async function decode(
  image: MelImage,
  fmt: MelFormat,
  quality: Quality = "default",
  loop = false,
): Promise<Sound> {
  const sound: Sound = Array.from(
    { length: image.channels === 1 ? 1 : 2 },
    () => new Float32Array(image.frames * fmt.hop_length),
  );
  let at = 0;
  for await (const block of decodeSource(sourceOf(image), fmt, quality, loop)) {
    for (const [i, samples] of block.entries()) sound[i].set(samples, at);
    at += block[0].length;
  }
  return sound;
}

async function* decodeSource(
  source: ColumnSource,
  fmt: MelFormat,
  quality: Quality,
  loop: boolean,
): AsyncGenerator<Sound> {
  const fft = await realFft(fmt.n_fft);
  const iterations = ITERATIONS[quality];
  // Side waits for mid, so its frames depend on others twice as far away.
  const leadIn = loop ? 2 * reach(fmt, iterations) : 0;
  const ends = leadIn * fmt.hop_length;
  const phases = new PhaseBlocks(fmt);
  const parts = {
    source,
    fmt,
    fft,
    blocks: (which: number) => phases.blocks(source, which, leadIn),
    magnitude: (levels: Uint8Array) => phases.magnitude(levels),
    retrieve: (frames: AsyncIterable<Frames>) => retrievePhase(frames, fmt, fft, iterations),
    trim: (sound: AsyncIterable<Samples>) => withoutEnds(sound, ends, ends),
  };
  for await (const block of channelBlocks(parts, await source.channels())) {
    for (const samples of block) softLimit(samples);
    yield block;
  }
}

function channelBlocks(parts: DecodingParts, channels: number): AsyncGenerator<Sound> {
  const { blocks, retrieve, trim, fmt } = parts;
  const mono = (which: number) => trim(retrieve(blocks(which)));
  if (channels === 1) return together([mono(0)]);
  return fmt.stereo === "mid-side" ? midSide(parts) : together([mono(1), mono(2)]);
}

/** Leave samples up to the knee alone and bend the rest towards 1, which none passes. */
export function softLimit(samples: Float32Array): void {
  for (let i = 0; i < samples.length; i++) {
    const size = Math.abs(samples[i]);
    if (size <= KNEE) continue;
    const bent = KNEE + (1 - KNEE) * Math.tanh((size - KNEE) / (1 - KNEE));
    samples[i] = Math.sign(samples[i]) * bent;
  }
}
