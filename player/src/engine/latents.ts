/** Latents, (channels, rows, columns), cut into windows and put together again. */

import type { TorchGenerator } from "../noise/torch-generator";
import { swapped, type Windows } from "../songs/windows";
import { type LatentShape, latentSize } from "./unet";

/** First noise of a clip: torch's, row by row. */
export const clipNoise = (generator: TorchGenerator, shape: LatentShape): Float32Array =>
  generator.normal(latentSize(shape));

/** First noise of a long piece: column by column, so a longer one begins as a shorter one. */
export function longNoise(generator: TorchGenerator, shape: LatentShape): Float32Array {
  const { channels, rows, columns } = shape;
  const noise = generator.normal(latentSize(shape));
  const turned = new Float32Array(noise.length);
  const cells = channels * rows;
  for (let column = 0; column < columns; column++) {
    for (let i = 0; i < cells; i++) turned[i * columns + column] = noise[column * cells + i];
  }
  return turned;
}

/** Some columns of a latent; `cells` is channels times rows. */
export function takeColumns(
  latent: Float32Array,
  length: number,
  chosen: readonly number[],
): Float32Array {
  const cells = latent.length / length;
  const taken = new Float32Array(cells * chosen.length);
  for (let i = 0; i < cells; i++) {
    for (const [to, column] of chosen.entries()) {
      taken[i * chosen.length + to] = latent[i * length + column];
    }
  }
  return taken;
}

/** One prediction for the whole latent out of those of its windows, by the latent swap. */
export function joinWindows(
  predictions: readonly Float32Array[],
  windows: Windows,
  turn: number,
): Float32Array {
  if (predictions.length === 1 && windows.length === windows.width) return predictions[0];
  const { width, length } = windows;
  const cells = predictions[0].length / width;
  const joined = new Float32Array(cells * length);
  for (const [column, view] of swapped(windows, turn).entries()) {
    const prediction = predictions[Math.floor(view / width)];
    const from = view % width;
    for (let i = 0; i < cells; i++) joined[i * length + column] = prediction[i * width + from];
  }
  return joined;
}
