/** Parts of a long piece on windows: what each of them plays (dmm/songs/timeline.py and layout.py). */

import { frameRate, type MelFormat } from "../codec/format";
import { roundHalfEven } from "../sampling/noise-schedule";
import { layWindows, type Windows } from "./windows";

const BEATS_PER_BAR = 4;

export interface Part {
  prompt: string;
  seconds: number;
}

/** Parts that follow one another, and how a piece of them is closed. */
export interface Timeline {
  parts: readonly Part[];
  /** Length of the crossfade from one prompt to the next, centred on the border, seconds. */
  crossfade: number;
  /** Ends where it begins. */
  loop: boolean;
}

export interface Plan {
  windows: Windows;
  /** Weights of each part's prompt for every window, at its middle; rows add up to 1. */
  weights: number[][];
  /** Image columns of the piece. */
  frames: number;
  /** Length in samples; of a loop exact, else a hop for every column. */
  samples: number;
}

export const secondsOf = ({ parts }: Timeline): number =>
  parts.reduce((sum, { seconds }) => sum + seconds, 0);

/** Seconds of so many bars of four beats. */
export const secondsOfBars = (bars: number, bpm: number): number =>
  (bars * BEATS_PER_BAR * 60) / bpm;

/** Lay windows, each as wide as a clip; `factor` image columns are one of the latent. */
export function makePlan(timeline: Timeline, fmt: MelFormat, factor: number): Plan {
  const rate = frameRate(fmt);
  const seconds = secondsOf(timeline);
  const columns = (seconds * rate) / factor;
  const { loop } = timeline;
  const length = Math.max(1, loop ? roundHalfEven(columns) : Math.ceil(columns - 1e-6));
  const windows = layWindows(length, fmt.n_frames / factor, loop);
  const weights = windows.starts.map((start) => {
    const middle = start + windows.width / 2;
    const column = loop ? middle % windows.length : middle;
    return partWeights(timeline, Math.min((column * factor) / rate, seconds));
  });
  const frames = Math.max(1, roundHalfEven(seconds * rate));
  const samples = loop ? roundHalfEven(seconds * fmt.sr) : frames * fmt.hop_length;
  return { windows, weights, frames, samples };
}

/** Weights of each part's prompt at a time. */
export function partWeights({ parts, crossfade, loop }: Timeline, time: number): number[] {
  const borders: number[] = [];
  let end = 0;
  for (const { seconds } of parts) {
    if (end || loop) borders.push(end);
    end += seconds;
  }
  if (loop) borders.push(end);
  const passed = borders.reduce((sum, border) => sum + passedBorder(time - border, crossfade), 0);
  const place = loop ? passed - 1 : passed;
  const first = Math.floor(place);
  const weights = parts.map(() => 0);
  const count = parts.length;
  weights[((first % count) + count) % count] += 1 - (place - first);
  weights[(first + 1 + count) % count] += place - first;
  return weights;
}

/** 0 before a border, 1 behind it, a slope across the crossfade. */
function passedBorder(beyond: number, crossfade: number): number {
  if (crossfade === 0) return beyond >= 0 ? 1 : 0;
  return Math.min(Math.max(beyond / crossfade + 0.5, 0), 1);
}
