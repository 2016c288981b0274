/** How clips are sampled. */

import type { Bundle } from "../bundle/schema";
import type { Schedule } from "../sampling/noise-schedule";
import type { PredictionType } from "../sampling/sampler";

export interface Settings {
  sampler: string;
  steps: number;
  guidance: number;
  negativePrompt: string;
  prediction: PredictionType;
  schedule: Schedule;
}

/** As a model's author set them. */
export function defaultSettings({ sampling }: Bundle): Settings {
  return {
    sampler: sampling.sampler,
    steps: sampling.steps,
    guidance: sampling.guidance,
    negativePrompt: sampling.negative_prompt,
    prediction: sampling.prediction_type,
    schedule: sampling.schedule,
  };
}

/** Whether the UNet takes guidance as an input: it was distilled to need one pass a step. */
export const takesGuidance = ({ parts }: Bundle): boolean => "guidance" in parts.unet.inputs;

/** Whether each step takes two passes, with the prompt and without it. */
export const isGuided = (bundle: Bundle, { guidance }: Settings): boolean =>
  guidance > 1 && !takesGuidance(bundle);
