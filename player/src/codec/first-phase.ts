/**
 * First phase from magnitudes by phase gradient heap integration (dmm/codec/pghi.py).
 *
 * Průša, Balazs and Søndergaard 2017 (https://arxiv.org/abs/1609.00291), with a bucket queue, one
 * stack of cells for each 0.1 dB, in place of the paper's heap.
 */

/** Width of the Gaussian exp(-pi t² / gamma) nearest a Hann window, in window lengths squared. */
const HANN_GAMMA = 0.25645;
const LEVELS_PER_OCTAVE = 64;
const TOLERANCE = 1e-4;
/** Magnitude that counts as none whatever the loudest cell. */
export const SILENCE = 1e-12;

export interface WindowShape {
  hop_length: number;
  win_length: number;
  n_fft: number;
}

/** Phasors of frames, by their number, that stay as they are: the others go on from them. */
export type KnownPhasors = ReadonlyMap<number, Float32Array>;

/**
 * Unit phasors, (frames, bins) interleaved, for magnitudes (frames, bins).
 *
 * Cells below 1e-4 of the loudest keep phase 0. An all-zero input is fine.
 */
export function firstPhase(
  magnitude: Float32Array,
  { hop_length, win_length, n_fft }: WindowShape,
  known: KnownPhasors = new Map(),
): Float32Array {
  const grid = new Grid(magnitude, n_fft / 2 + 1, known);
  const stretch = Math.fround((HANN_GAMMA * win_length ** 2) / (hop_length * n_fft));
  const turn = (2 * Math.PI * hop_length) / n_fft;
  integrate(grid, slopes(grid, stretch, turn));
  return grid.phasors();
}

/** Magnitudes with a rim of one cell, which spares the loops their checks for the border. */
class Grid {
  readonly frames: number;
  readonly stride: number;
  readonly log: Float32Array;
  /** Loudness in queue steps above the floor; -1 for cells left out or reached. */
  readonly todo: Int32Array;
  readonly phase: Float32Array;
  /** Cells whose phase is known, in rising order. */
  readonly fixed: number[] = [];

  constructor(
    magnitude: Float32Array,
    readonly bins: number,
    known: KnownPhasors,
  ) {
    this.frames = magnitude.length / bins;
    this.stride = bins + 2;
    const size = (this.frames + 2) * this.stride;
    this.log = new Float32Array(size);
    this.todo = new Int32Array(size).fill(-1);
    this.phase = new Float32Array(size);
    const loudest = magnitude.reduce((most, value) => Math.max(most, value), 0);
    const floor = Math.max(TOLERANCE * loudest, SILENCE);
    this.#setLevels(magnitude, Math.fround(floor), Math.fround(0.1 * floor));
    for (const [frame, phasors] of [...known].sort(([a], [b]) => a - b)) this.#fix(frame, phasors);
  }

  #setLevels(magnitude: Float32Array, floor: number, least: number): void {
    const { frames, bins, stride, log, todo } = this;
    for (let t = -1; t <= frames; t++) {
      const from = Math.min(Math.max(t, 0), frames - 1) * bins;
      const row = (t + 1) * stride;
      for (let k = -1; k <= bins; k++) {
        const value = magnitude[from + Math.min(Math.max(k, 0), bins - 1)];
        log[row + k + 1] = Math.log(Math.max(value, least));
        if (t < 0 || t === frames || k < 0 || k === bins) continue;
        const octaves = Math.fround(Math.log2(Math.fround(Math.max(value, 0.5 * floor) / floor)));
        todo[row + k + 1] = Math.max(Math.floor(octaves * LEVELS_PER_OCTAVE), -1);
      }
    }
  }

  #fix(frame: number, phasors: Float32Array): void {
    const row = (frame + 1) * this.stride + 1;
    for (let k = 0; k < this.bins; k++) {
      const sign = halfTurn(k);
      this.phase[row + k] = Math.atan2(sign * phasors[2 * k + 1], sign * phasors[2 * k]);
      this.fixed.push(row + k);
    }
  }

  phasors(): Float32Array {
    const { frames, bins, stride, phase } = this;
    const found = new Float32Array(2 * frames * bins);
    for (let t = 0, to = 0; t < frames; t++) {
      const row = (t + 1) * stride + 1;
      for (let k = 0; k < bins; k++) {
        const sign = halfTurn(k);
        found[to++] = sign * Math.cos(phase[row + k]);
        found[to++] = sign * Math.sin(phase[row + k]);
      }
    }
    return found;
  }
}

/** Half a turn a bin: the window's middle is sample n_fft / 2 of its frame. */
const halfTurn = (bin: number): number => (bin % 2 ? -1 : 1);

interface Slopes {
  alongTime: Float32Array;
  alongFrequency: Float32Array;
}

function slopes({ frames, bins, stride, log }: Grid, stretch: number, turn: number): Slopes {
  const alongTime = new Float32Array(log.length);
  const alongFrequency = new Float32Array(log.length);
  for (let t = 1; t <= frames; t++) {
    for (let k = 1; k <= bins; k++) {
      const i = t * stride + k;
      alongTime[i] = (log[i + 1] - log[i - 1]) / (2 * stretch) + turn * (k - 1);
      alongFrequency[i] = (log[i + stride] - log[i - stride]) * (-stretch / 2);
    }
  }
  return { alongTime, alongFrequency };
}

/** Sum the slopes into the phase: from known cells, then from the loudest not yet reached. */
function integrate(grid: Grid, slopes: Slopes): void {
  const { todo } = grid;
  const order = loudestFirst(todo);
  const queue = new BucketQueue(todo);
  for (const cell of grid.fixed) if (todo[cell] >= 0) queue.push(cell);
  spread(grid, slopes, queue);
  for (const cell of order) {
    if (todo[cell] < 0) continue;
    queue.push(cell);
    spread(grid, slopes, queue);
  }
}

/** Reach all cells that touch those in the queue, from its loudest on. */
function spread({ phase, todo, stride }: Grid, slopes: Slopes, queue: BucketQueue): void {
  const { alongTime, alongFrequency } = slopes;
  const offsets = [-stride, stride, -1, 1];
  for (let cell = queue.pop(); cell >= 0; cell = queue.pop()) {
    for (const offset of offsets) {
      const near = cell + offset;
      if (todo[near] < 0) continue;
      const slope = offset === 1 || offset === -1 ? alongFrequency : alongTime;
      const step = Math.fround(0.5 * Math.fround(slope[cell] + slope[near]));
      const turned = Math.fround(phase[cell] + (offset > 0 ? step : -step));
      phase[near] = turned - 2 * Math.PI * Math.round(turned / (2 * Math.PI));
      queue.push(near);
    }
  }
}

/** One stack of cells for each level; a cell's level is -1 once it was pushed. */
class BucketQueue {
  readonly #tops: Int32Array;
  readonly #below: Int32Array;
  #highest = -1;

  constructor(readonly levels: Int32Array) {
    const most = levels.reduce((a, b) => Math.max(a, b), -1);
    this.#tops = new Int32Array(most + 1).fill(-1);
    this.#below = new Int32Array(levels.length);
  }

  push(cell: number): void {
    const level = this.levels[cell];
    this.#below[cell] = this.#tops[level];
    this.#tops[level] = cell;
    this.levels[cell] = -1;
    if (level > this.#highest) this.#highest = level;
  }

  /** The last cell pushed at the highest level; -1 if there is none. */
  pop(): number {
    while (this.#highest >= 0) {
      const cell = this.#tops[this.#highest];
      if (cell >= 0) {
        this.#tops[this.#highest] = this.#below[cell];
        return cell;
      }
      this.#highest--;
    }
    return -1;
  }
}

/** Cells with level >= 0 by falling level: a counting sort. */
function loudestFirst(levels: Int32Array): Int32Array {
  const most = levels.reduce((a, b) => Math.max(a, b), -1);
  const place = new Int32Array(most + 1);
  for (const level of levels) if (level >= 0) place[level]++;
  let louder = 0;
  for (let level = most; level >= 0; level--) {
    const count = place[level];
    place[level] = louder;
    louder += count;
  }
  const order = new Int32Array(louder);
  for (let cell = 0; cell < levels.length; cell++) {
    if (levels[cell] >= 0) order[place[levels[cell]]++] = cell;
  }
  return order;
}
