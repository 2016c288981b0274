/** DPM-Solver++ 2M (diffusers' DPMSolverMultistepScheduler; Lu et al. 2022, algorithm 2). */

import { finiteSigmas } from "./euler";
import {
  interpolate,
  karrasSigmas,
  roundHalfEven,
  sigmaToTimestep,
  spacedTimesteps,
} from "./noise-schedule";
import { denoise, type Sampler, type SamplerOptions } from "./sampler";

export function dpmSolver(options: SamplerOptions, karras: boolean): Sampler {
  const { schedule, steps, prediction: kind } = options;
  const known = finiteSigmas(options);
  let timesteps = spacedTimesteps(schedule, steps, 1).map(roundHalfEven);
  let sigmas = timesteps.map((timestep) => interpolate(known, timestep));
  if (karras) {
    sigmas = karrasSigmas(known[known.length - 1], known[0], steps);
    timesteps = sigmas.map((sigma) => roundHalfEven(sigmaToTimestep(sigma, known)));
  }
  const levels = [...sigmas, 0].map((sigma) => level(Math.fround(sigma)));
  let before: Float32Array | undefined;
  return {
    timesteps,
    initialSigma: 1,
    inputScale: () => 1,
    step(step, prediction, sample) {
      const { alpha, sigma, lambda } = levels[step];
      const to = levels[step + 1];
      const denoised = denoise(prediction, sample, kind, alpha, sigma);
      const isLast = step === timesteps.length - 1;
      const h = to.lambda - lambda;
      const share = Math.expm1(-h) * to.alpha;
      const ratio = before && !isLast ? h / (lambda - levels[step - 1].lambda) / 2 : 0;
      const next = new Float32Array(sample.length);
      for (let i = 0; i < next.length; i++) {
        const slope = before && ratio ? ratio * (denoised[i] - before[i]) : 0;
        next[i] = (to.sigma / sigma) * sample[i] - share * (denoised[i] + slope);
      }
      before = denoised;
      return { sample: next, denoised };
    },
  };
}

interface Level {
  /** Shares of signal and noise, and half the logarithm of their ratio squared. */
  alpha: number;
  sigma: number;
  lambda: number;
}

function level(sigma: number): Level {
  const alpha = 1 / Math.hypot(sigma, 1);
  return { alpha, sigma: sigma * alpha, lambda: -Math.log(sigma) };
}
