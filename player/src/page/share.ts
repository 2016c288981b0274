/** Links that say how a clip is made, in the address behind `#`, which no server gets to see. */

import type { Bundle } from "../bundle/schema";
import type { Settings } from "../engine/settings";
import { SAMPLER_NAMES } from "../sampling/samplers";
import type { Timeline } from "../songs/plan";

/** All that decides a clip, its model by the SHA-256 of its bundle. */
export interface Recipe {
  model: string;
  timeline: Timeline;
  seed: number;
  settings: Pick<Settings, "sampler" | "steps" | "guidance" | "negativePrompt">;
  /** Where the model can be had. */
  from?: string | undefined;
}

const ID_LENGTH = 16;
/** Bounds of a bundle's own settings: the timesteps of training, and any number. */
const MOST_STEPS = 1000;
const MOST_GUIDANCE = Number.MAX_SAFE_INTEGER;

/** The part of an address behind `#`; what is as the model's author set it is left out. */
export function toFragment(
  { model, timeline, seed, settings, from }: Recipe,
  bundle: Bundle,
): string {
  const fields = new URLSearchParams({ model: model.slice(0, ID_LENGTH), seed: String(seed) });
  for (const { prompt, seconds } of timeline.parts) {
    fields.append("p", prompt);
    fields.append("s", String(Number(seconds.toFixed(3))));
  }
  if (timeline.parts.length > 1) fields.set("crossfade", String(timeline.crossfade));
  if (timeline.loop) fields.set("loop", "1");
  const { sampling } = bundle;
  if (settings.sampler !== sampling.sampler) fields.set("sampler", settings.sampler);
  if (settings.steps !== sampling.steps) fields.set("steps", String(settings.steps));
  if (settings.guidance !== sampling.guidance) fields.set("guidance", String(settings.guidance));
  if (settings.negativePrompt !== sampling.negative_prompt) {
    fields.set("negative", settings.negativePrompt);
  }
  if (from) fields.set("from", from);
  return fields.toString();
}

export interface SharedRecipe {
  /** The beginning of the model's id. */
  model: string;
  from: string | undefined;
  timeline: Timeline;
  seed: number;
  settings: Partial<Recipe["settings"]>;
}

/** The recipe of a link; undefined for any other address and for a damaged link. */
export function fromFragment(fragment: string): SharedRecipe | undefined {
  const fields = new URLSearchParams(fragment.replace(/^#/, ""));
  const prompts = fields.getAll("p");
  const lengths = fields.getAll("s").map(Number);
  const seed = Number(fields.get("seed"));
  const model = fields.get("model") ?? "";
  const holds =
    prompts.length > 0 &&
    lengths.length === prompts.length &&
    lengths.every((seconds) => seconds > 0 && seconds <= 600) &&
    Number.isSafeInteger(seed) &&
    seed >= 0 &&
    /^[0-9a-f]{8,64}$/.test(model);
  if (!holds) return undefined;
  const parts = prompts.map((prompt, i) => ({ prompt, seconds: lengths[i] }));
  const crossfade = bounded(fields.get("crossfade"), 0, 20) ?? 0;
  return {
    model,
    from: fields.get("from") ?? undefined,
    timeline: { parts, crossfade, loop: fields.get("loop") === "1" },
    seed,
    settings: sharedSettings(fields),
  };
}

function sharedSettings(fields: URLSearchParams): Partial<Recipe["settings"]> {
  const sampler = fields.get("sampler");
  const steps = bounded(fields.get("steps"), 1, MOST_STEPS);
  const guidance = bounded(fields.get("guidance"), -MOST_GUIDANCE, MOST_GUIDANCE);
  const negativePrompt = fields.get("negative");
  return {
    ...(sampler && SAMPLER_NAMES.includes(sampler) ? { sampler } : {}),
    ...(steps ? { steps: Math.round(steps) } : {}),
    ...(guidance !== undefined ? { guidance } : {}),
    ...(negativePrompt === null ? {} : { negativePrompt }),
  };
}

function bounded(text: string | null, least: number, most: number): number | undefined {
  const value = Number(text);
  return text?.trim() && value >= least && value <= most ? value : undefined;
}
