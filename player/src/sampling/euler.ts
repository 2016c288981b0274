/** Euler's method on sigmas (diffusers' EulerDiscreteScheduler; Karras et al. 2022, algorithm 2). */

import {
  alphasCumprod,
  interpolate,
  karrasSigmas,
  sigmaToTimestep,
  spacedTimesteps,
  trainSigmas,
} from "./noise-schedule";
import type { Sampler, SamplerOptions } from "./sampler";

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
      const square = sigma * sigma + 1;
      const next = new Float32Array(sample.length);
      const denoised = new Float32Array(sample.length);
      for (let i = 0; i < next.length; i++) {
        denoised[i] =
          kind === "epsilon"
            ? sample[i] - sigma * prediction[i]
            : (prediction[i] * -sigma) / Math.sqrt(square) + sample[i] / square;
        next[i] = sample[i] + ((sample[i] - denoised[i]) / sigma) * (sigmas[step + 1] - sigma);
      }
      return { sample: next, denoised };
    },
  };
}
