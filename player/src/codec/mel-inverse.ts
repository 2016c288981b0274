/**
 * Mel magnitudes to STFT magnitudes by ten Richardson-Lucy steps (dmm/codec/mel_inverse.py).
 *
 * The rows are known sums of bins; the steps lower the Kullback-Leibler divergence and never leave
 * the positive range (Richardson 1972, https://doi.org/10.1364/JOSA.62.000055).
 */

import { melFilterbank, multiply, type SparseMatrix, sparseMatrix, transpose } from "./filterbank";
import { binCount, type MelFormat } from "./format";

const STEPS = 10;
const FLOOR = 1e-9;

/** Inverse of one format: mel magnitudes, frame by frame, to (frames, bins). */
export function melInverse(fmt: MelFormat): (mel: Float32Array) => Float32Array {
  const forward = melFilterbank(fmt);
  const used = forward.columns.reduce((most, k) => Math.max(most, k), 0) + 1;
  const backward = normalisedTranspose(forward, used);
  const rows = fmt.n_mels;
  const bins = binCount(fmt);
  const expected = new Float32Array(rows);
  const correction = new Float32Array(used);
  return (mel) => {
    const frames = mel.length / rows;
    const linear = new Float32Array(frames * bins);
    for (let t = 0; t < frames; t++) {
      const observed = mel.subarray(t * rows, (t + 1) * rows);
      const found = linear.subarray(t * bins, t * bins + used);
      multiply(backward, observed, found);
      for (let step = 0; step < STEPS; step++) {
        multiply(forward, found, expected);
        for (let m = 0; m < rows; m++) expected[m] = observed[m] / Math.max(expected[m], FLOOR);
        multiply(backward, expected, correction);
        for (let k = 0; k < used; k++) found[k] *= correction[k];
      }
    }
    return linear;
  };
}

/** Transpose whose rows add up to 1. */
function normalisedTranspose(forward: SparseMatrix, used: number): SparseMatrix {
  const { starts, columns, values } = transpose(forward, used);
  const rows = Array.from({ length: used }, (_, k) => {
    const entries = Array.from(values.subarray(starts[k], starts[k + 1]));
    const weight = Math.max(
      entries.reduce((sum, value) => sum + value, 0),
      FLOOR,
    );
    return entries.map((value, i): [number, number] => [columns[starts[k] + i], value / weight]);
  });
  return sparseMatrix(rows);
}
