/** Samplers by their usual names, equal to diffusers' schedulers (dmm/generation/sampling.py). */

import { ddim } from "./ddim";
import { dpmSolver } from "./dpm-solver";
import { euler } from "./euler";
import { lcm } from "./lcm";
import type { Sampler, SamplerOptions } from "./sampler";

const SAMPLERS: Record<string, (options: SamplerOptions) => Sampler> = {
  euler: (options) => euler(options, false),
  "euler-karras": (options) => euler(options, true),
  ddim: (options) => ddim(options),
  "ddim-trailing": (options) => ddim(options, "trailing"),
  "dpm++-2m": (options) => dpmSolver(options, false),
  "dpm++-2m-karras": (options) => dpmSolver(options, true),
  "dpmsolver++": (options) => dpmSolver(options, true),
  lcm,
};
export const SAMPLER_NAMES: readonly string[] = Object.keys(SAMPLERS);

export function makeSampler(name: string, options: SamplerOptions): Sampler {
  const make = SAMPLERS[name];
  if (!make) throw new Error(`no sampler "${name}"; known: ${SAMPLER_NAMES.join(", ")}`);
  return make(options);
}
