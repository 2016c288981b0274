/**
 * A sketch of the mel image while its latent is still being sampled.
 *
 * A linear map from a latent's channels to brightness, fitted to the first image that a model made;
 * before that, how large the latent is.
 */

/** Weights of the channels, and at the end a constant. */
export type PreviewMap = readonly number[];

/** Brightness 0..255 of each latent cell, (rows, columns). */
export function sketchLatent(
  latent: Float32Array,
  channels: number,
  map: PreviewMap | undefined,
): Float32Array {
  const cells = latent.length / channels;
  const sketch = new Float32Array(cells);
  for (let i = 0; i < cells; i++) {
    let value = map ? map[channels] : 0;
    for (let c = 0; c < channels; c++) {
      const x = latent[c * cells + i];
      value += map ? map[c] * x : (x * x) / channels;
    }
    sketch[i] = map ? value : 60 * Math.sqrt(value);
  }
  return sketch;
}

/** The map that comes closest, in least squares, to the mean brightness of each cell. */
export function fitPreview(
  latent: Float32Array,
  channels: number,
  brightness: Float32Array,
): PreviewMap {
  const cells = brightness.length;
  const size = channels + 1;
  const normal = Array.from({ length: size }, () => new Float64Array(size + 1));
  const row = new Float64Array(size + 1);
  for (let i = 0; i < cells; i++) {
    for (let c = 0; c < channels; c++) row[c] = latent[c * cells + i];
    row[channels] = 1;
    row[size] = brightness[i];
    for (let a = 0; a < size; a++) {
      for (let b = 0; b <= size; b++) normal[a][b] += row[a] * row[b];
    }
  }
  for (let a = 0; a < size; a++) normal[a][a] += 1e-3 * cells; // keeps channels that are alike apart
  return solve(normal);
}

/** Gauss-Jordan elimination of a symmetric positive system, (n, n + 1). */
function solve(rows: Float64Array[]): number[] {
  const n = rows.length;
  for (let pivot = 0; pivot < n; pivot++) {
    for (let i = 0; i < n; i++) {
      if (i === pivot) continue;
      const factor = rows[i][pivot] / rows[pivot][pivot];
      for (let j = pivot; j <= n; j++) rows[i][j] -= factor * rows[pivot][j];
    }
  }
  return rows.map((row, i) => row[n] / row[i]);
}

/** Mean level of each latent cell of an image, (rows, columns) from the top. */
export function cellBrightness(
  levels: Uint8Array,
  melRows: number,
  factor: number,
  columns: number,
): Float32Array {
  const rows = melRows / factor;
  const mean = new Float32Array(rows * columns);
  for (let frame = 0; frame < columns * factor; frame++) {
    for (let y = 0; y < melRows; y++) {
      const cell = Math.floor(y / factor) * columns + Math.floor(frame / factor);
      mean[cell] += levels[frame * melRows + melRows - 1 - y] / factor ** 2;
    }
  }
  return mean;
}
