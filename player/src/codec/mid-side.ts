/** Left and right from the mel images of mid, side and their balance (`_decode_mid_side` of dmm/codec/decode.py). */

import type { ColumnSource } from "./column-source";
import type { RealFft } from "./fft";
import { melFilterbank, multiply, transpose } from "./filterbank";
import { SILENCE } from "./first-phase";
import { binCount, type MelFormat } from "./format";
import type { Frames, Samples } from "./framing";
import { levelDecoder } from "./levels";
import { CHUNK, type PhaseBlock } from "./phase-blocks";
import { streamStft } from "./stft";

/** One array of samples in -1..1 a channel. */
export type Sound = Samples[];

/** The parts of decoding, set up for one image. */
export interface DecodingParts {
  source: ColumnSource;
  fmt: MelFormat;
  fft: RealFft;
  /** Blocks of one image channel. */
  blocks(which: number): AsyncGenerator<PhaseBlock>;
  /** STFT magnitudes of levels. */
  magnitude(levels: Uint8Array): Float32Array;
  retrieve(frames: AsyncIterable<Frames>): AsyncGenerator<Samples>;
  /** Takes off what a loop is played before its start and after its end. */
  trim(sound: AsyncIterable<Samples>): AsyncGenerator<Samples>;
}

/**
 * Left and right: the louder of mid and side is decoded as if alone and leads the other, whose
 * sign against it comes from the balance. Waits for the whole image to know which is louder.
 */
export async function* midSide(parts: DecodingParts): AsyncGenerator<Sound> {
  const { source, fmt, retrieve, trim } = parts;
  const { frames } = await source.whole();
  const [mid, side] = [0, 1].map((which) => levelPower(source.channel(which, 0, frames), fmt));
  const sideLeads = side > mid;
  const [lead, follow] = sideLeads ? [1, 0] : [0, 1];
  const [blocks, again] = tee(parts.blocks(lead));
  const [leader, heard] = tee(retrieve(blocks));
  const follower = retrieve(following(parts, again, heard, follow, frames));
  for await (const [first, second] of together([trim(leader), trim(follower)])) {
    const [m, s] = sideLeads ? [second, first] : [first, second];
    yield [m.map((value, i) => value + s[i]), m.map((value, i) => value - s[i])];
  }
}

/** Magnitudes of the channel that follows, and the leader's phase with the balance's sign. */
async function* following(
  { source, fmt, fft, magnitude }: DecodingParts,
  blocks: AsyncIterable<PhaseBlock>,
  leader: AsyncIterable<Samples>,
  follow: number,
  frames: number,
): AsyncGenerator<Frames> {
  const levels = source.channel(follow, 0, frames);
  const balance = source.channel(2, 0, frames);
  const turn = balance.some(Boolean) ? sideSigns(fmt) : undefined;
  const spectra = streamStft(leader, fmt, fft);
  for await (const { columns } of blocks) {
    const { value: phasors } = await spectra.next();
    normalise(phasors);
    turn?.(take(balance, columns, fmt.n_mels), phasors);
    yield { magnitude: magnitude(take(levels, columns, fmt.n_mels)), phasors };
  }
}

/** Columns of one channel by their numbers. */
function take(levels: Uint8Array, columns: readonly number[], rows: number): Uint8Array {
  const found = new Uint8Array(columns.length * rows);
  columns.forEach((column, i) => {
    found.set(levels.subarray(column * rows, (column + 1) * rows), i * rows);
  });
  return found;
}

/** Spectra to unit phasors, 1 where there is no sound. */
function normalise(spectra: Float32Array): void {
  for (let i = 0; i < spectra.length; i += 2) {
    const size = Math.hypot(spectra[i], spectra[i + 1]);
    const heard = size > SILENCE;
    spectra[i] = heard ? spectra[i] / size : 1;
    spectra[i + 1] = heard ? spectra[i + 1] / size : 0;
  }
}

/** Turns phasors by half where the balance says that the right channel is louder. */
function sideSigns(fmt: MelFormat): (balance: Uint8Array, phasors: Float32Array) => void {
  const bins = binCount(fmt);
  const toBins = transpose(melFilterbank(fmt), bins);
  const lean = new Float32Array(fmt.n_mels);
  const turned = new Float32Array(bins);
  return (balance, phasors) => {
    for (let t = 0; t * fmt.n_mels < balance.length; t++) {
      for (let m = 0; m < fmt.n_mels; m++) lean[m] = balance[t * fmt.n_mels + m] - 128;
      multiply(toBins, lean, turned);
      for (let k = 0; k < bins; k++) {
        if (turned[k] >= 0) continue;
        phasors[2 * (t * bins + k)] *= -1;
        phasors[2 * (t * bins + k) + 1] *= -1;
      }
    }
  };
}

/** Summed squares of the mel magnitudes. */
function levelPower(levels: Uint8Array, fmt: MelFormat): number {
  const toMagnitude = levelDecoder(fmt);
  let power = 0;
  for (let at = 0; at < levels.length; at += CHUNK * fmt.n_mels) {
    const chunk = toMagnitude(levels.subarray(at, at + CHUNK * fmt.n_mels));
    for (const value of chunk) power += value * value;
  }
  return power;
}

/** Blocks of several channels side by side. */
export async function* together(
  streams: readonly AsyncGenerator<Samples>[],
): AsyncGenerator<Sound> {
  for (;;) {
    const blocks = await Promise.all(streams.map((stream) => stream.next()));
    if (blocks.some(({ done }) => done)) return;
    yield blocks.map(({ value }) => value);
  }
}

/** One stream for two readers; what only one has read is held. */
function tee<T>(stream: AsyncGenerator<T>): [AsyncGenerator<T>, AsyncGenerator<T>] {
  interface Link {
    result?: Promise<IteratorResult<T>>;
    next?: Link;
  }
  async function* read(first: Link): AsyncGenerator<T> {
    for (let link = first; ; ) {
      link.result ??= stream.next();
      const { done, value } = await link.result;
      if (done) return;
      yield value;
      link.next ??= {};
      link = link.next;
    }
  }
  const start: Link = {};
  return [read(start), read(start)];
}
