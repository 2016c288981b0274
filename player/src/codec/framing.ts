/** Sound and its frames as they come: in pieces, of which a few are held (dmm/codec/framing.py). */

/** Frames handled at a time. */
export const BLOCK = 32;

/** Samples of one channel. */
export type Samples = Float32Array<ArrayBuffer>;

/** Consecutive frames, (frames, bins). */
export interface Frames {
  magnitude: Float32Array;
  /** Unit phasors, or their product with the magnitudes, interleaved. */
  phasors: Float32Array;
}

/** The periodic Hann window, scaled so that a full-scale sine has magnitude 1. */
export function hann(length: number): Float32Array {
  const window = Float64Array.from(
    { length },
    (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / length),
  );
  const sum = window.reduce((a, b) => a + b, 0);
  return Float32Array.from(window, (value) => (2 * value) / sum);
}

export function concat(parts: readonly Float32Array[]): Samples {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** The same samples in pieces of `size`, but the last, which may be shorter. */
export async function* regroup(
  pieces: AsyncIterable<Float32Array>,
  size: number,
): AsyncGenerator<Samples> {
  let held: Samples = new Float32Array(0);
  for await (const piece of pieces) {
    held = concat([held, piece]);
    while (held.length >= size) {
      yield held.slice(0, size);
      held = held.slice(size);
    }
  }
  if (held.length) yield held;
}

/** All but the first `before` and the last `after` samples. */
export async function* withoutEnds(
  pieces: AsyncIterable<Float32Array>,
  before: number,
  after: number,
): AsyncGenerator<Samples> {
  let held: Samples = new Float32Array(0);
  let left = before;
  for await (const piece of pieces) {
    held = concat([held, piece.subarray(Math.min(left, piece.length))]);
    left = Math.max(0, left - piece.length);
    const finished = held.length - after;
    if (finished <= 0) continue;
    yield held.slice(0, finished);
    held = held.slice(finished);
  }
}
