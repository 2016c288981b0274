/** First phases chunk by chunk, each going on from the phase that the one before ended with. */

import type { ColumnSource } from "./column-source";
import { firstPhase } from "./first-phase";
import { binCount, type MelFormat } from "./format";
import { BLOCK, concat, type Frames } from "./framing";
import { levelDecoder } from "./levels";
import { melInverse } from "./mel-inverse";

/** Frames whose first phase is found at a time, and how many more are looked at. */
export const CHUNK = 16 * BLOCK;
const AHEAD = BLOCK;
/** Frames of the chunk before that a chunk's first phase goes on from. */
const TAKEN_OVER = 2;

/** Magnitudes and phasors to start from, and the image column of each frame. */
export interface PhaseBlock extends Frames {
  columns: number[];
}

export class PhaseBlocks {
  readonly #fmt: MelFormat;
  readonly #bins: number;
  readonly #fromLevels: (levels: Uint8Array) => Float32Array;
  readonly #toLinear: (mel: Float32Array) => Float32Array;

  constructor(fmt: MelFormat) {
    this.#fmt = fmt;
    this.#bins = binCount(fmt);
    this.#fromLevels = levelDecoder(fmt);
    this.#toLinear = melInverse(fmt);
  }

  /** STFT magnitudes of levels, frame by frame. */
  magnitude(levels: Uint8Array): Float32Array {
    return this.#toLinear(this.#fromLevels(levels));
  }

  /** Blocks of one channel; a loop is played from `leadIn` frames before its start, to as many after. */
  async *blocks(source: ColumnSource, which: number, leadIn: number): AsyncGenerator<PhaseBlock> {
    const chunks = this.#chunks(source, which);
    for await (const chunk of leadIn ? this.#round(chunks, leadIn) : chunks) {
      yield* this.#blocks(chunk);
    }
  }

  *#blocks({ columns, magnitude, phasors }: PhaseBlock): Generator<PhaseBlock> {
    const bins = this.#bins;
    for (let t = 0; t < columns.length; t += BLOCK) {
      yield {
        columns: columns.slice(t, t + BLOCK),
        magnitude: magnitude.subarray(t * bins, (t + BLOCK) * bins),
        phasors: phasors.subarray(2 * t * bins, 2 * (t + BLOCK) * bins),
      };
    }
  }

  async *#chunks(source: ColumnSource, which: number): AsyncGenerator<PhaseBlock> {
    const bins = this.#bins;
    let known = new Map<number, Float32Array>();
    for (let start = 0; ; start += CHUNK) {
      const there = await source.upTo(start + CHUNK + AHEAD);
      if (there <= start) return;
      const first = Math.max(0, start - TAKEN_OVER);
      const magnitude = this.magnitude(source.channel(which, first, there));
      const phasors = firstPhase(magnitude, this.#fmt, known);
      const from = start - first;
      const stop = from + Math.min(CHUNK, there - start);
      known = new Map();
      for (let t = Math.max(from, stop - TAKEN_OVER); t < stop; t++) {
        known.set(known.size, phasors.slice(2 * t * bins, 2 * (t + 1) * bins));
      }
      yield {
        columns: Array.from({ length: stop - from }, (_, t) => start + t),
        magnitude: magnitude.subarray(from * bins, stop * bins),
        phasors: phasors.subarray(2 * from * bins, 2 * stop * bins),
      };
    }
  }

  /** The last frames' phases are found again, between those before them and the loop's first. */
  async *#round(chunks: AsyncIterable<PhaseBlock>, leadIn: number): AsyncGenerator<PhaseBlock> {
    const all: PhaseBlock[] = [];
    for await (const chunk of chunks) all.push(chunk);
    const loop = new FrameTable(all, this.#bins);
    const last = Math.min(AHEAD, loop.frames);
    const around = range(loop.frames - last - TAKEN_OVER, loop.frames + TAKEN_OVER);
    const known = new Map<number, Float32Array>();
    if (loop.frames > last) {
      for (const t of [0, 1, around.length - 2, around.length - 1]) {
        known.set(t, loop.phasors(around[t]));
      }
    }
    const closed = firstPhase(loop.magnitudes(around), this.#fmt, known);
    const size = 2 * this.#bins;
    for (let t = 0; t < last; t++) {
      const from = (t + TAKEN_OVER) * size;
      loop.phasors(loop.frames - last + t).set(closed.subarray(from, from + size));
    }
    for (let t = -leadIn; t < loop.frames + leadIn; t += BLOCK) {
      yield loop.take(range(t, Math.min(t + BLOCK, loop.frames + leadIn)));
    }
  }
}

const range = (start: number, stop: number): number[] =>
  Array.from({ length: Math.max(0, stop - start) }, (_, i) => start + i);

/** All frames of a loop; frame numbers go round. */
class FrameTable {
  readonly frames: number;
  readonly #magnitude: Float32Array;
  readonly #phasors: Float32Array;

  constructor(
    chunks: readonly PhaseBlock[],
    readonly bins: number,
  ) {
    this.#magnitude = concat(chunks.map((chunk) => chunk.magnitude));
    this.#phasors = concat(chunks.map((chunk) => chunk.phasors));
    this.frames = this.#magnitude.length / bins;
  }

  #place(frame: number): number {
    return (((frame % this.frames) + this.frames) % this.frames) * this.bins;
  }

  phasors(frame: number): Float32Array {
    const at = 2 * this.#place(frame);
    return this.#phasors.subarray(at, at + 2 * this.bins);
  }

  magnitudes(frames: readonly number[]): Float32Array {
    return concat(
      frames.map((frame) => {
        const at = this.#place(frame);
        return this.#magnitude.subarray(at, at + this.bins);
      }),
    );
  }

  take(frames: readonly number[]): PhaseBlock {
    return {
      columns: frames.map((frame) => this.#place(frame) / this.bins),
      magnitude: this.magnitudes(frames),
      phasors: concat(frames.map((frame) => this.phasors(frame))),
    };
  }
}
