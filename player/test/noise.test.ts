import { expect, test } from "vitest";
import { TorchGenerator } from "../src/noise/torch-generator";
import { golden } from "./golden";

type Run = { seed: number; calls: number[][] };
type Whole = { seed: number; count: number; first: number[]; last: number[] };
const runs = golden<(Run | Whole)[]>("noise");

test.each(runs.filter((run) => "calls" in run))("seed $seed gives torch's noise", (run) => {
  const generator = new TorchGenerator(run.seed);
  for (const expected of run.calls) {
    const found = generator.normal(expected.length);
    for (const [i, value] of expected.entries()) expect(found[i]).toBeCloseTo(value, 5);
  }
});

test.each(runs.filter((run) => "count" in run))(
  "a latent's noise begins and ends as torch's",
  (run) => {
    const found = new TorchGenerator(run.seed).normal(run.count);
    for (const [i, value] of run.first.entries()) expect(found[i]).toBeCloseTo(value, 5);
    for (const [i, value] of run.last.entries()) {
      expect(found[run.count - run.last.length + i]).toBeCloseTo(value, 5);
    }
  },
);
