/** Loops brought to their exact length: the image by splines, the sound by a periodic sinc. */

import { emptyImage, type MelImage } from "../codec/mel-image";

/** Pole of the cubic B-spline's inverse filter (Unser, Aldroubi and Eden 1993). */
const POLE = Math.sqrt(3) - 2;
/** Samples to each side that a resampled one is made of, and its window's Kaiser beta. */
const HALF_WIDTH = 64;
const BETA = 10;
/** Values of the tabled kernel a sample. */
const KERNEL_RATE = 512;

/** A loop's image at another width, its last column next to its first (`stretch_loop` of dmm). */
export function stretchLoop(image: MelImage, frames: number): MelImage {
  if (image.frames === frames) return image;
  const size = image.rows * image.channels;
  const stretched = emptyImage(image.rows, frames, image.channels);
  const row = new Float64Array(image.frames);
  for (let i = 0; i < size; i++) {
    for (let t = 0; t < image.frames; t++) row[t] = image.levels[t * size + i];
    const coefficients = splineCoefficients(row);
    for (let t = 0; t < frames; t++) {
      const place = ((t + 0.5) * image.frames) / frames - 0.5;
      stretched.levels[t * size + i] = clampLevel(splineValue(coefficients, place));
    }
  }
  return stretched;
}

const clampLevel = (value: number): number => Math.round(Math.min(Math.max(value, 0), 255));

/** Coefficients of the periodic cubic spline through the values. */
function splineCoefficients(values: Float64Array): Float64Array {
  const n = values.length;
  const found = values.map((value) => 6 * value);
  const horizon = Math.min(n, 32);
  let causal = found[0];
  for (let i = 1; i < horizon; i++) causal += found[n - i] * POLE ** i;
  found[0] = causal / (1 - (horizon === n ? POLE ** n : 0));
  for (let i = 1; i < n; i++) found[i] += POLE * found[i - 1];
  let last = found[n - 1];
  for (let i = 1; i < horizon; i++) last += found[i - 1] * POLE ** i;
  found[n - 1] = (-POLE * last) / (1 - (horizon === n ? POLE ** n : 0));
  for (let i = n - 2; i >= 0; i--) found[i] = POLE * (found[i + 1] - found[i]);
  return found;
}

function splineValue(coefficients: Float64Array, place: number): number {
  const n = coefficients.length;
  const base = Math.floor(place);
  const u = place - base;
  const weights = [
    (1 - u) ** 3 / 6,
    (4 - 6 * u ** 2 + 3 * u ** 3) / 6,
    (1 + 3 * u + 3 * u ** 2 - 3 * u ** 3) / 6,
    u ** 3 / 6,
  ];
  return weights.reduce(
    (sum, weight, i) => sum + weight * coefficients[(((base - 1 + i) % n) + n) % n],
    0,
  );
}

/** A loop's sound at another number of samples, nearly as many; what rings goes round. */
export function resampleLoop(sound: Float32Array, samples: number): Float32Array<ArrayBuffer> {
  if (sound.length === samples) return new Float32Array(sound);
  const n = sound.length;
  const kernel = sincKernel(Math.min(1, samples / n));
  const found = new Float32Array(samples);
  for (let i = 0; i < samples; i++) {
    const place = (i * n) / samples;
    const base = Math.floor(place);
    for (let j = 1 - HALF_WIDTH; j <= HALF_WIDTH; j++) {
      const at = Math.abs(place - base - j) * KERNEL_RATE;
      const cell = Math.floor(at);
      const weight = kernel[cell] + (kernel[cell + 1] - kernel[cell]) * (at - cell);
      found[i] += weight * sound[(((base + j) % n) + n) % n];
    }
  }
  return found;
}

/** One side of a windowed sinc, `KERNEL_RATE` values a sample; `cutoff` is a share of half the rate. */
function sincKernel(cutoff: number): Float64Array {
  return Float64Array.from({ length: HALF_WIDTH * KERNEL_RATE + 2 }, (_, i) => {
    const share = i / KERNEL_RATE / HALF_WIDTH;
    const window = share < 1 ? bessel(BETA * Math.sqrt(1 - share * share)) / bessel(BETA) : 0;
    const x = (Math.PI * cutoff * i) / KERNEL_RATE;
    return cutoff * window * (x === 0 ? 1 : Math.sin(x) / x);
  });
}

/** Modified Bessel function of the first kind and order 0. */
function bessel(x: number): number {
  let [sum, term] = [1, 1];
  for (let k = 1; term > 1e-12 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}
