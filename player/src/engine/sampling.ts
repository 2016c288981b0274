/** From noise to latents without noise, window by window and step by step. */

import { TorchGenerator } from "../noise/torch-generator";
import { makeSampler } from "../sampling/samplers";
import { windowColumns } from "../songs/windows";
import type { DiffusionRequest } from "../workers/calls";
import { clipNoise, joinWindows, longNoise, takeColumns } from "./latents";
import type { LatentShape, Unet } from "./unet";

/** Called before the first pass and after each, with what the first window would be without noise. */
export type OnPass = (done: number, total: number, denoised: Float32Array) => Promise<void>;

export async function sampleLatents(
  unet: Unet,
  { seed, settings, conditions, windows, long }: DiffusionRequest,
  onPass: OnPass,
): Promise<Float32Array> {
  const { channels, rows } = unet.latent;
  const whole: LatentShape = { channels, rows, columns: windows.length };
  const window: LatentShape = { channels, rows, columns: windows.width };
  const generator = new TorchGenerator(seed);
  const noise = long ? longNoise(generator, whole) : clipNoise(generator, whole);
  const sampler = makeSampler(settings.sampler, { ...settings, generator });
  const columns = windows.starts.map((_, number) => windowColumns(windows, number));
  const total = sampler.timesteps.length * columns.length;
  const first = (latent: Float32Array) => takeColumns(latent, windows.length, columns[0]);

  let sample: Float32Array = noise.map((value) => value * sampler.initialSigma);
  let denoised: Float32Array = new Float32Array(noise.length);
  let done = 0;
  await onPass(done, total, first(denoised));
  for (const [step, timestep] of sampler.timesteps.entries()) {
    const scale = sampler.inputScale(step);
    const scaled = sample.map((value) => value * scale);
    const predictions: Float32Array[] = [];
    for (const [number, seen] of columns.entries()) {
      const view = takeColumns(scaled, windows.length, seen);
      predictions.push(
        await unet.predict(view, window, timestep, conditions[number], settings.guidance),
      );
      done++;
      if (number < columns.length - 1) await onPass(done, total, first(denoised));
    }
    const prediction = joinWindows(predictions, windows, step);
    ({ sample, denoised } = sampler.step(step, prediction, sample));
    await onPass(done, total, first(denoised));
  }
  return sample;
}
