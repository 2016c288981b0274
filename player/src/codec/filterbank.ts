/** Mel filter bank: triangles over FFT bins as sparse rows (`mel_filterbank` of dmm/codec/mel.py). */

import { binCount, type MelFormat } from "./format";

/** A matrix in compressed sparse rows. */
export interface SparseMatrix {
  /** Row i is entries `starts[i]` to `starts[i + 1]`. */
  starts: Uint32Array;
  columns: Uint32Array;
  values: Float32Array;
}

const hzToMel = (hz: number): number => 2595 * Math.log10(1 + hz / 700);

/** Corners of the triangles, Hz: row i rises from corner i to i + 1 and falls to i + 2. */
export function corners(fmt: MelFormat): Float64Array {
  const low = hzToMel(fmt.fmin);
  const step = (hzToMel(fmt.fmax) - low) / (fmt.n_mels + 1);
  return Float64Array.from(
    { length: fmt.n_mels + 2 },
    (_, i) => 700 * (10 ** ((low + step * i) / 2595) - 1),
  );
}

/** Triangles of unit area, (n_mels, bins), never narrower than one bin to each side. */
export function melFilterbank(fmt: MelFormat): SparseMatrix {
  const edges = corners(fmt);
  const bin = fmt.sr / fmt.n_fft;
  const rows = Array.from({ length: fmt.n_mels }, (_, row) => {
    const centre = edges[row + 1];
    const rise = Math.max(centre - edges[row], bin);
    const fall = Math.max(edges[row + 2] - centre, bin);
    return triangle(centre / bin, rise / bin, fall / bin, binCount(fmt));
  });
  return sparseMatrix(rows);
}

type Entry = [column: number, value: number];

function triangle(centre: number, rise: number, fall: number, bins: number): Entry[] {
  const entries: Entry[] = [];
  const first = Math.max(0, Math.floor(centre - rise));
  const last = Math.min(bins - 1, Math.ceil(centre + fall));
  for (let k = first; k <= last; k++) {
    const weight = 1 - Math.max((centre - k) / rise, (k - centre) / fall);
    if (weight > 0) entries.push([k, weight]);
  }
  const area = entries.reduce((sum, [, weight]) => sum + weight, 0);
  return entries.map(([k, weight]) => [k, weight / area]);
}

export function sparseMatrix(rows: readonly Entry[][]): SparseMatrix {
  const starts = new Uint32Array(rows.length + 1);
  rows.forEach((row, i) => {
    starts[i + 1] = starts[i] + row.length;
  });
  const entries = rows.flat();
  return {
    starts,
    columns: Uint32Array.from(entries, ([column]) => column),
    values: Float32Array.from(entries, ([, value]) => value),
  };
}

/** Rows and columns exchanged; `width` is the number of columns. */
export function transpose(matrix: SparseMatrix, width: number): SparseMatrix {
  const rows: Entry[][] = Array.from({ length: width }, () => []);
  for (let row = 0; row + 1 < matrix.starts.length; row++) {
    for (let i = matrix.starts[row]; i < matrix.starts[row + 1]; i++) {
      rows[matrix.columns[i]].push([row, matrix.values[i]]);
    }
  }
  return sparseMatrix(rows);
}

/** `out = matrix @ vector`. */
export function multiply(matrix: SparseMatrix, vector: Float32Array, out: Float32Array): void {
  const { starts, columns, values } = matrix;
  for (let row = 0; row + 1 < starts.length; row++) {
    let sum = 0;
    for (let i = starts[row]; i < starts[row + 1]; i++) sum += values[i] * vector[columns[i]];
    out[row] = sum;
  }
}
