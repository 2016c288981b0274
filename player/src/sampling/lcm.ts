/** Latent consistency sampling (diffusers' LCMScheduler; Luo et al. 2023, algorithm 3). */

import { UserError } from "../errors";
import { alphasCumprod } from "./noise-schedule";
import { denoise, type Sampler, type SamplerOptions } from "./sampler";

/** Timesteps that the distillation knew. */
const ORIGINAL_STEPS = 50;
const TIMESTEP_SCALING = 10;
const SIGMA_DATA = 0.5;

export function lcm({ schedule, steps, prediction: kind, generator }: SamplerOptions): Sampler {
  if (steps > ORIGINAL_STEPS) {
    throw new UserError(
      `The sampler lcm takes ${ORIGINAL_STEPS} steps at most, not ${steps}; lower the steps or choose another sampler.`,
    );
  }
  const cumulated = alphasCumprod(schedule);
  const stride = Math.floor(schedule.train_timesteps / ORIGINAL_STEPS);
  const timesteps = Array.from({ length: steps }, (_, i) => {
    const place = Math.floor((i * ORIGINAL_STEPS) / steps);
    return (ORIGINAL_STEPS - place) * stride - 1;
  });
  return {
    timesteps,
    initialSigma: 1,
    inputScale: () => 1,
    step(step, prediction, sample) {
      const alphaSquared = cumulated[timesteps[step]];
      const [alpha, sigma] = [Math.sqrt(alphaSquared), Math.sqrt(1 - alphaSquared)];
      const denoised = denoise(prediction, sample, kind, alpha, sigma);
      const { skip, out } = boundary(timesteps[step]);
      for (let i = 0; i < denoised.length; i++) {
        denoised[i] = out * denoised[i] + skip * sample[i];
      }
      if (step === steps - 1) return { sample: denoised, denoised };
      const nextAlpha = cumulated[timesteps[step + 1]];
      const next = generator.normal(sample.length);
      for (let i = 0; i < next.length; i++) {
        next[i] = Math.sqrt(nextAlpha) * denoised[i] + Math.sqrt(1 - nextAlpha) * next[i];
      }
      return { sample: next, denoised };
    },
  };
}

/** Weights of sample and prediction: at timestep 0 only the sample counts. */
function boundary(timestep: number): { skip: number; out: number } {
  const scaled = timestep * TIMESTEP_SCALING;
  const square = scaled ** 2 + SIGMA_DATA ** 2;
  return { skip: SIGMA_DATA ** 2 / square, out: scaled / Math.sqrt(square) };
}
