import { expect, test } from "vitest";
import { UserError } from "../src/errors";
import { TorchGenerator } from "../src/noise/torch-generator";
import type { Schedule } from "../src/sampling/noise-schedule";
import type { PredictionType } from "../src/sampling/sampler";
import { makeSampler } from "../src/sampling/samplers";
import { golden } from "./golden";

interface Run {
  sampler: string;
  schedule: Schedule;
  prediction: PredictionType;
  steps: number;
  timesteps: number[];
  initial_sigma: number;
  /** After the first step and after the last. */
  samples: number[][];
}

/** The network of tests/golden/make.py. */
const standIn = (scaled: Float32Array, timestep: number): Float32Array =>
  scaled.map((x) => 0.6 * x * Math.cos(timestep / 700) + 0.2 * Math.sin(3 * x));

function sampled(run: Run): {
  samples: Float32Array[];
  timesteps: readonly number[];
  sigma: number;
} {
  const generator = new TorchGenerator(3);
  const noise = generator.normal(16);
  const sampler = makeSampler(run.sampler, { ...run, generator });
  let sample: Float32Array = noise.map((x) => x * sampler.initialSigma);
  const samples = sampler.timesteps.map((timestep, step) => {
    const scale = sampler.inputScale(step);
    const prediction = standIn(
      sample.map((x) => x * scale),
      timestep,
    );
    sample = sampler.step(step, prediction, sample).sample;
    return sample;
  });
  return { samples, timesteps: sampler.timesteps, sigma: sampler.initialSigma };
}

const runs = golden<Run[]>("samplers");
const label = "$sampler, $prediction, $schedule.timestep_spacing, $steps steps";

test.each(runs)(`${label}: diffusers' timesteps`, (run) => {
  const { timesteps, sigma } = sampled(run);
  expect(timesteps.length).toBe(run.timesteps.length);
  for (const [i, timestep] of run.timesteps.entries()) {
    expect(timesteps[i]).toBeCloseTo(timestep, 2);
  }
  expect(sigma / run.initial_sigma).toBeCloseTo(1, 5);
});

test.each(runs)(`${label}: diffusers' samples`, (run) => {
  const { samples } = sampled(run);
  for (const [i, step] of [0, samples.length - 1].entries()) {
    // Single precision carries seven digits of the noise that a step began with.
    const bound = 3e-5 * Math.max(1, ...run.samples[i].map(Math.abs)) + 1e-7 * run.initial_sigma;
    for (const [j, value] of run.samples[i].entries()) {
      expect(Math.abs(samples[step][j] - value)).toBeLessThan(bound);
    }
  }
});

test("more steps than lcm takes is an error that the user can fix", () => {
  const options = { ...runs[0], steps: 51, generator: new TorchGenerator(0) };
  expect(() => makeSampler("lcm", options)).toThrow(UserError);
});
