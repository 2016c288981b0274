/** DDIM without noise underway (diffusers' DDIMScheduler; Song et al. 2020, equation 12). */

import { alphasCumprod, roundHalfEven, type Schedule, spacedTimesteps } from "./noise-schedule";
import { denoise, type Sampler, type SamplerOptions } from "./sampler";

/** `spacing` replaces the schedule's own: few-step students begin from pure noise. */
export function ddim(
  { schedule: own, steps, prediction: kind }: SamplerOptions,
  spacing: Schedule["timestep_spacing"] = own.timestep_spacing,
): Sampler {
  const schedule = { ...own, timestep_spacing: spacing };
  const cumulated = alphasCumprod(schedule);
  const timesteps = spacedTimesteps(schedule, steps, 0).map(roundHalfEven);
  const stride = Math.floor(schedule.train_timesteps / steps);
  return {
    timesteps,
    initialSigma: 1,
    inputScale: () => 1,
    step(step, prediction, sample) {
      const before = timesteps[step] - stride;
      const alpha = Math.sqrt(cumulated[timesteps[step]]);
      const sigma = Math.sqrt(1 - cumulated[timesteps[step]]);
      const nextAlpha = before >= 0 ? cumulated[before] : 1;
      const denoised = denoise(prediction, sample, kind, alpha, sigma);
      const next = new Float32Array(sample.length);
      for (let i = 0; i < next.length; i++) {
        const noise = sigma ? (sample[i] - alpha * denoised[i]) / sigma : prediction[i];
        next[i] = Math.sqrt(nextAlpha) * denoised[i] + Math.sqrt(1 - nextAlpha) * noise;
      }
      return { sample: next, denoised };
    },
  };
}
