/** The interface of samplers: steps from one noise level to the next. */

import type { TorchGenerator } from "../noise/torch-generator";
import type { Schedule } from "./noise-schedule";

/** The UNet predicts noise, velocity or the sample without noise. */
export const PREDICTION_TYPES = ["epsilon", "v_prediction", "sample"] as const;
export type PredictionType = (typeof PREDICTION_TYPES)[number];

export interface SamplerOptions {
  steps: number;
  schedule: Schedule;
  prediction: PredictionType;
  /** Goes on to make the noise that some samplers add underway. */
  generator: TorchGenerator;
}

export interface StepResult {
  sample: Float32Array<ArrayBuffer>;
  /** The current estimate of the sample without noise. */
  denoised: Float32Array<ArrayBuffer>;
}

export interface Sampler {
  /** One for each step; what the UNet takes as its timestep. */
  timesteps: readonly number[];
  /** Standard deviation of the first noise. */
  initialSigma: number;
  /** Factor by which a sample is scaled for the UNet. */
  inputScale(step: number): number;
  /** From one step's sample to the next. */
  step(step: number, prediction: Float32Array, sample: Float32Array): StepResult;
}

/** The sample without noise: `alpha` and `sigma` are the shares of signal and noise in it. */
export function denoise(
  prediction: Float32Array,
  sample: Float32Array,
  kind: PredictionType,
  alpha: number,
  sigma: number,
): Float32Array<ArrayBuffer> {
  if (kind === "sample") return new Float32Array(prediction);
  const found = new Float32Array(sample.length);
  for (let i = 0; i < found.length; i++) {
    found[i] =
      kind === "epsilon"
        ? (sample[i] - sigma * prediction[i]) / alpha
        : alpha * sample[i] - sigma * prediction[i];
  }
  return found;
}
