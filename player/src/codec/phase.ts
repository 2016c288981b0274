/**
 * Magnitudes to sound: a phase that overlapping frames agree on, by ADMM (dmm/codec/phase.py).
 *
 * Masuyama, Yatabe and Oikawa 2019 (https://doi.org/10.1109/LSP.2018.2884026). All steps run at
 * once, each a few frames behind the one before, so sound of any length is as good as if it were
 * retrieved at once, and a few hundred frames are held.
 */

import type { RealFft } from "./fft";
import type { MelFormat } from "./format";
import { BLOCK, concat, type Frames, hann, regroup, type Samples, withoutEnds } from "./framing";

const RHO = 0.1;
/** Weight of the last quarter of the steps: large rho settles. */
const RHO_LAST = 0.4;
const LAST = 0.25;
/** Samples where the squared windows sum to less, beside their largest sum, are left silent. */
const RIM = 1e-3;

/** Sound whose STFT magnitudes come close to those given: a hop a frame, `BLOCK` hops a piece. */
export function retrievePhase(
  frames: AsyncIterable<Frames>,
  fmt: MelFormat,
  fft: RealFft,
  iterations: number,
): AsyncGenerator<Samples> {
  const { n_fft, win_length, hop_length } = fmt;
  // The first window begins before the first frame's hop.
  const early = Math.floor((n_fft - hop_length) / 2) - Math.floor((n_fft - win_length) / 2);
  const late = win_length - hop_length - early;
  const sound = withoutEnds(retrieve(frames, fmt, fft, iterations), early, late);
  return regroup(sound, BLOCK * hop_length);
}

/** Frames to each side that the sound of a frame depends on, its first phase given. */
export function reach({ win_length, hop_length }: MelFormat, iterations: number): number {
  return (iterations + 1) * Math.ceil(win_length / hop_length);
}

export function rhoSchedule(iterations: number): number[] {
  const last = Math.floor(iterations * LAST);
  return Array.from({ length: iterations }, (_, i) => (i < iterations - last ? RHO : RHO_LAST));
}

/** Sound from the first sample that the first window reaches to the last of the last one. */
async function* retrieve(
  blocks: AsyncIterable<Frames>,
  fmt: MelFormat,
  fft: RealFft,
  iterations: number,
): AsyncGenerator<Float32Array> {
  const held = new HeldFrames(fft);
  const windows = new Windows(fmt);
  const steps = rhoSchedule(iterations).map((rho) => new Step(windows, fft, rho));
  const final = new OverlapAdd(windows, fft);
  for await (const block of blocks) {
    for (const part of small(block, fft.n)) {
      held.add(part);
      let ready = held.stop;
      for (const step of steps) ready = step.advance(held, ready, false);
      yield final.add(held, ready, false);
      held.dropBefore(ready);
    }
  }
  for (const step of steps) step.advance(held, held.stop, true);
  yield final.add(held, held.stop, true);
}

/** A block's frames, at most `BLOCK` at a time. */
function* small({ magnitude, phasors }: Frames, n: number): Generator<Frames> {
  const bins = n / 2 + 1;
  const size = BLOCK * bins;
  for (let at = 0; at < magnitude.length; at += size) {
    yield {
      magnitude: magnitude.subarray(at, at + size),
      phasors: phasors.subarray(2 * at, 2 * (at + size)),
    };
  }
}

/** The frames that some step has still to reach, changed in place, numbered from 0 on. */
class HeldFrames {
  start = 0;
  stop = 0;
  readonly #bins: number;
  #magnitudes: Float32Array[] = [];
  #states: Float32Array[] = [];

  constructor(fft: RealFft) {
    this.#bins = fft.n / 2 + 1;
  }

  add({ magnitude, phasors }: Frames): void {
    const bins = this.#bins;
    for (let at = 0; at < magnitude.length; at += bins, this.stop++) {
      const size = magnitude.slice(at, at + bins);
      const state = phasors.slice(2 * at, 2 * (at + bins));
      for (let k = 0; k < bins; k++) {
        state[2 * k] *= size[k];
        state[2 * k + 1] *= size[k];
      }
      this.#magnitudes.push(size);
      this.#states.push(state);
    }
  }

  dropBefore(frame: number): void {
    this.#magnitudes.splice(0, frame - this.start);
    this.#states.splice(0, frame - this.start);
    this.start = frame;
  }

  magnitude(frame: number): Float32Array {
    return this.#magnitudes[frame - this.start];
  }

  state(frame: number): Float32Array {
    return this.#states[frame - this.start];
  }
}

/** The window without the zeros around it, and its squares added up over all frames. */
class Windows {
  readonly shape: Float32Array;
  /** Zeros of the FFT frame before the window. */
  readonly left: number;
  readonly hop: number;
  /** Squares at this place of the window and at every hop before it. */
  readonly #cumulated: Float64Array;
  readonly #floor: number;

  constructor({ win_length, hop_length, n_fft }: MelFormat) {
    this.shape = hann(win_length);
    this.left = Math.floor((n_fft - win_length) / 2);
    this.hop = hop_length;
    this.#cumulated = Float64Array.from(this.shape, (value) => value * value);
    for (let i = hop_length; i < win_length; i++) {
      this.#cumulated[i] += this.#cumulated[i - hop_length];
    }
    const most = this.#cumulated.reduce((a, b) => Math.max(a, b), 0);
    this.#floor = RIM * most;
  }

  get length(): number {
    return this.shape.length;
  }

  /**
   * Divide sound by the power of the windows over it: `first` is its first sample's number, and
   * only frames before `stop` count.
   */
  weigh(sound: Float32Array, first: number, stop: number): void {
    const { hop, length } = this;
    for (let i = 0; i < sound.length; i++) {
      const sample = first + i;
      const newest = Math.min(Math.floor(sample / hop), stop - 1);
      const least = sample - newest * hop;
      const most = Math.min(sample, length - 1 - ((length - 1 - (sample % hop)) % hop));
      const before = least >= hop ? this.#cumulated[least - hop] : 0;
      const power = least < length ? this.#cumulated[most] - before : 0;
      sound[i] = power > this.#floor ? sound[i] / power : 0;
    }
  }
}

/** Least-squares inverse STFT (Griffin and Lim 1984) of held frames in their order. */
class OverlapAdd {
  #added = 0;
  #tail: Float32Array;

  constructor(
    readonly windows: Windows,
    readonly fft: RealFft,
  ) {
    this.#tail = new Float32Array(windows.length - windows.hop);
  }

  /** Go on to frame `stop`: the samples that no later frame reaches. */
  add(held: HeldFrames, stop: number, last: boolean): Float32Array {
    const { shape, left, hop } = this.windows;
    const first = this.#added;
    const sound = concat([this.#tail, new Float32Array((stop - first) * hop)]);
    const scale = 1 / this.fft.n;
    for (let frame = first; frame < stop; frame++) {
      this.fft.inverse(held.state(frame));
      const { time } = this.fft;
      const to = (frame - first) * hop;
      for (let i = 0; i < shape.length; i++) sound[to + i] += time[left + i] * shape[i] * scale;
    }
    const finished = sound.slice(0, last ? sound.length : (stop - first) * hop);
    this.#tail = sound.slice(finished.length);
    this.#added = stop;
    this.windows.weigh(finished, first * hop, stop);
    return finished;
  }
}

/** One ADMM step of every frame, made when all that share samples with it have come. */
class Step {
  readonly #overlap: OverlapAdd;
  readonly #consistent: Float32Array;
  #sound: Float32Array = new Float32Array(0);
  #stepped = 0;

  constructor(
    readonly windows: Windows,
    readonly fft: RealFft,
    readonly rho: number,
  ) {
    this.#overlap = new OverlapAdd(windows, fft);
    this.#consistent = new Float32Array(fft.n + 2);
  }

  /** Step what can be, given that the frames before `ready` are; returns how far. */
  advance(held: HeldFrames, ready: number, last: boolean): number {
    this.#sound = concat([this.#sound, this.#overlap.add(held, ready, last)]);
    const { length, hop } = this.windows;
    const count = Math.max(0, Math.floor((this.#sound.length - length) / hop) + 1);
    for (let i = 0; i < count; i++) {
      const frame = this.#stepped + i;
      this.#analyse(i * hop);
      admmStep(held.state(frame), this.#consistent, held.magnitude(frame), this.rho);
    }
    this.#sound = this.#sound.slice(count * hop);
    this.#stepped += count;
    return this.#stepped;
  }

  /** The spectrum of the sound of all frames, seen through one frame's window. */
  #analyse(from: number): void {
    const { shape, left } = this.windows;
    const { time } = this.fft;
    time.fill(0, 0, left);
    for (let i = 0; i < shape.length; i++) time[left + i] = this.#sound[from + i] * shape[i];
    time.fill(0, left + shape.length);
    this.fft.forward(this.#consistent);
  }
}

/** V <- X + U, in place. */
function admmStep(
  state: Float32Array,
  consistent: Float32Array,
  magnitude: Float32Array,
  rho: number,
): void {
  const keep = 1 - rho;
  const share = 1 / (1 + rho);
  for (let k = 0, i = 0; k < magnitude.length; k++, i += 2) {
    const vReal = state[i];
    const vImag = state[i + 1];
    const pReal = consistent[i];
    const pImag = consistent[i + 1];
    const real = 2 * pReal - keep * vReal;
    const imag = 2 * pImag - keep * vImag;
    const scale = magnitude[k] / Math.sqrt(real * real + imag * imag + 1e-30);
    state[i] = real * scale + (vReal - pReal) * share;
    state[i + 1] = imag * scale + (vImag - pImag) * share;
  }
}
