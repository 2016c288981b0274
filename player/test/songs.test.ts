import { expect, test } from "vitest";
import { emptyImage } from "../src/codec/mel-image";
import { resampleLoop, stretchLoop } from "../src/songs/loop";
import { makePlan, partWeights, secondsOfBars } from "../src/songs/plan";
import { layWindows, swapped } from "../src/songs/windows";
import { errorDb, golden, goldenFormat } from "./golden";

interface Golden {
  windows: {
    length: number;
    loop: boolean;
    starts: number[];
    covered: number;
    swapped: number[][];
  }[];
  plans: {
    parts: [string, number][];
    crossfade: number;
    loop: boolean;
    starts: number[];
    length: number;
    weights: number[][];
    frames: number;
  }[];
  image: number[][];
  stretched: { frames: number; image: number[][] }[];
  sound: number[];
  resampled: { samples: number; sound: number[] }[];
}
const songs = golden<Golden>("songs");

test.each(songs.windows)("windows on $length columns, loop $loop, lie as in Python", (expected) => {
  const windows = layWindows(expected.length, 32, expected.loop);
  expect(windows.starts).toEqual(expected.starts);
  expect(windows.length).toBe(expected.covered);
  expect([0, 1].map((turn) => swapped(windows, turn))).toEqual(expected.swapped);
});

test.each(songs.plans)("a plan, crossfade $crossfade, loop $loop, is Python's", (expected) => {
  const parts = expected.parts.map(([prompt, seconds]) => ({ prompt, seconds }));
  const timeline = { parts, crossfade: expected.crossfade, loop: expected.loop };
  const plan = makePlan(timeline, goldenFormat("nano"), 8);
  expect(plan.windows.starts).toEqual(expected.starts);
  expect(plan.windows.length).toBe(expected.length);
  expect(plan.frames).toBe(expected.frames);
  for (const [i, row] of expected.weights.entries()) {
    for (const [j, weight] of row.entries()) expect(plan.weights[i][j]).toBeCloseTo(weight, 6);
  }
});

test("between two parts each counts half", () => {
  const parts = ["a", "b"].map((prompt) => ({ prompt, seconds: 4 }));
  expect(partWeights({ parts, crossfade: 2, loop: false }, 4)).toEqual([0.5, 0.5]);
  expect(partWeights({ parts, crossfade: 2, loop: true }, 0)).toEqual([0.5, 0.5]);
});

test("four bars at 120 bpm are eight seconds", () => {
  expect(secondsOfBars(4, 120)).toBe(8);
});

test.each(songs.stretched)("a loop's image stretched to $frames columns is SciPy's", (expected) => {
  const rows = songs.image.length;
  const frames = songs.image[0].length;
  const image = emptyImage(rows, frames, 1);
  image.levels.set(Array.from(image.levels, (_, i) => songs.image[i % rows][Math.floor(i / rows)]));
  const found = stretchLoop(image, expected.frames);
  for (const [row, levels] of expected.image.entries()) {
    expect(levels.map((_, t) => found.levels[t * rows + row])).toEqual(levels);
  }
});

test.each(songs.resampled)("a loop of $samples samples sounds as SciPy's", (expected) => {
  const found = resampleLoop(Float32Array.from(songs.sound), expected.samples);
  expect(errorDb(found, expected.sound)).toBeLessThan(-40);
});
