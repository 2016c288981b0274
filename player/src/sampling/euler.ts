/** Euler's method on sigmas (diffusers' EulerDiscreteScheduler; Karras et al. 2022, algorithm 2). */

import {
  alphasCumprod,
  interpolate,
  karrasSigmas,
  sigmaToTimestep,
  spacedTimesteps,
  trainSigmas,
} from "./noise-schedule";
import { denoise, type Sampler, type SamplerOptions } from "./sampler";

/** Smallest cumulated alpha: keeps the first sigma finite where no signal is left. */
export const LEAST_ALPHA = 2 ** -24;

/** Training sigmas, the last one finite. */
export function finiteSigmas({ schedule }: SamplerOptions): Float32Array {
  const cumulated = alphasCumprod(schedule);
  if (schedule.rescale_betas_zero_snr) cumulated[cumulated.length - 1] = LEAST_ALPHA;
  return trainSigmas(cumulated);
}

export function euler(options: SamplerOptions, karras: boolean): Sampler {
  const { schedule, steps, prediction: kind } = options;
  const known = finiteSigmas(options);
  let timesteps = spacedTimesteps(schedule, steps, 0);
  let sigmas = timesteps.map((timestep) => interpolate(known, timestep));
  if (karras) {
    sigmas = karrasSigmas(sigmas[0], sigmas[steps - 1], steps);
    timesteps = sigmas.map((sigma) => sigmaToTimestep(sigma, known));
  }
  sigmas = [...sigmas, 0].map(Math.fround);
  const isWhole = schedule.timestep_spacing !== "leading";
  return {
    timesteps,
    initialSigma: isWhole ? Math.max(...sigmas) : Math.hypot(Math.max(...sigmas), 1),
    inputScale: (step) => 1 / Math.hypot(sigmas[step], 1),
    step(step, prediction, sample) {
      const sigma = sigmas[step];
      const size = Math.hypot(sigma, 1);
      // In units where the sample is signal plus sigma times noise.
      const unit = sample.map((value) => value / size);
      const denoised = denoise(prediction, unit, kind, 1 / size, sigma / size);
      const next = new Float32Array(sample.length);
      for (let i = 0; i < next.length; i++) {
        next[i] = sample[i] + ((sample[i] - denoised[i]) / sigma) * (sigmas[step + 1] - sigma);
      }
      return { sample: next, denoised };
    },
  };
}
