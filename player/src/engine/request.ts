/** A request: a clip, or a long piece of several prompts. */

import type { Bundle, NamedBundle } from "../bundle/schema";
import { clipSeconds, type MelFormat } from "../codec/format";
import { makePlan, type Plan, secondsOf, type Timeline } from "../songs/plan";
import { layWindows } from "../songs/windows";
import type { Settings } from "./settings";

export interface ClipRequest {
  model: NamedBundle;
  fmt: MelFormat;
  timeline: Timeline;
  seed: number;
  settings: Settings;
}

const SAME_S = 0.02;

/** A single prompt as long as a clip is a clip, whose noise is that of `dmm generate`. */
export function isClip({ parts, loop }: Timeline, fmt: MelFormat): boolean {
  return parts.length === 1 && !loop && Math.abs(parts[0].seconds - clipSeconds(fmt)) < SAME_S;
}

export interface RequestPlan extends Plan {
  long: boolean;
}

export function planOf({ timeline, fmt, model }: ClipRequest): RequestPlan {
  const { factor, columns } = model.bundle.latent;
  if (!isClip(timeline, fmt)) return { ...makePlan(timeline, fmt, factor), long: true };
  return {
    windows: layWindows(columns, columns),
    weights: [[1]],
    frames: fmt.n_frames,
    samples: fmt.n_frames * fmt.hop_length,
    long: false,
  };
}

/** A prompt behind the model's anchor (`with_anchor` of dmm/generation/requests.py). */
export const anchored = ({ anchor }: Bundle, prompt: string): string =>
  [anchor, prompt].filter(Boolean).join(", ");

export const requestSeconds = ({ timeline }: ClipRequest): number => secondsOf(timeline);
