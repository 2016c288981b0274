import { expect, test } from "vitest";
import { emptyImage, type MelImage } from "../src/codec/mel-image";
import { crossfade, joinImages } from "../src/songs/joining";
import { golden, goldenFormat } from "./golden";

const fmt = goldenFormat("small");
const { left, right, faded } = golden<Record<string, number[][]>>("joining");

function image(rows: number[][]): MelImage {
  const made = emptyImage(rows.length, rows[0].length, 1);
  made.levels.set(made.levels.map((_, i) => rows[i % rows.length][Math.floor(i / rows.length)]));
  return made;
}

test("two images fade at equal power as in Python", () => {
  const found = crossfade(image(left), image(right), fmt);
  const expected = image(faded);
  for (const [i, level] of found.levels.entries()) {
    expect(Math.abs(level - expected.levels[i])).toBeLessThanOrEqual(1);
  }
});

test("joined images are as long as both without what they share", () => {
  const [a, b] = [image(left), image(right)];
  const joined = joinImages([a, b, a], 3, fmt);
  expect(joined.frames).toBe(2 * a.frames + b.frames - 6);
  const kept = a.frames - 3;
  expect(joined.levels.subarray(0, kept * a.rows)).toEqual(a.levels.subarray(0, kept * a.rows));
});

test("a mono image beside a stereo one is heard in the middle", () => {
  const stereo = { ...emptyImage(32, 4, 3) };
  const joined = joinImages([image(left), stereo], 0, fmt);
  expect(joined.channels).toBe(3);
  expect([...joined.levels.subarray(0, 3)]).toEqual([left[0][0], 0, 128]);
});
