import { expect, test } from "vitest";
import { decode, streamDecode } from "../src/codec/decode";
import { realFft } from "../src/codec/fft";
import { firstPhase } from "../src/codec/first-phase";
import { levelDecoder, levelEncoder } from "../src/codec/levels";
import { channel, columns, joined, type MelImage } from "../src/codec/mel-image";
import { melInverse } from "../src/codec/mel-inverse";
import { errorDb, golden, goldenArray, goldenFormat, goldenImage, goldenRows } from "./golden";

const small = goldenFormat("small");
const INT16 = 32767;

test("the FFT of a cosine is one bin, and its inverse the cosine", async () => {
  const fft = await realFft(96);
  const wave = Float32Array.from({ length: 96 }, (_, i) => Math.cos((2 * Math.PI * 5 * i) / 96));
  const spectrum = new Float32Array(98);
  fft.time.set(wave);
  fft.forward(spectrum);
  for (let k = 0; k <= 48; k++) {
    expect(spectrum[2 * k]).toBeCloseTo(k === 5 ? 48 : 0, 4);
    expect(spectrum[2 * k + 1]).toBeCloseTo(0, 4);
  }
  fft.inverse(spectrum);
  expect(
    errorDb(
      fft.time.map((x) => x / 96),
      wave,
    ),
  ).toBeLessThan(-120);
});

test("an FFT length that cannot be had is refused", async () => {
  await expect(realFft(100)).rejects.toThrow("multiple of 32");
});

test("levels to magnitudes and back change nothing", () => {
  const levels = channel(goldenImage("small-levels"), 0);
  expect(levelEncoder(small)(levelDecoder(small)(levels))).toEqual(levels);
});

test("STFT magnitudes are Python's", () => {
  const mel = levelDecoder(small)(channel(goldenImage("small-levels"), 0));
  expect(errorDb(melInverse(small)(mel), goldenArray("small-magnitude").data)).toBeLessThan(-110);
});

test("the first phase is Python's", () => {
  const { data } = goldenArray("small-phase");
  const expected = Float32Array.from({ length: 2 * data.length }, (_, i) =>
    i % 2 ? Math.sin(data[i >> 1]) : Math.cos(data[i >> 1]),
  );
  const found = firstPhase(goldenArray("small-magnitude").data as Float32Array, small);
  expect(errorDb(found, expected)).toBeLessThan(-60);
});

test("a small image sounds as in Python", async () => {
  const [sound] = await decode(goldenImage("small-levels"), small, "fast");
  expect(errorDb(sound, goldenRows("small-sound")[0])).toBeLessThan(-50);
});

test("an image of two chunks sounds as in Python", async () => {
  const [sound] = await decode(goldenImage("long-levels"), small, "fast");
  expect(errorDb(sound, goldenRows("long-sound")[0], INT16)).toBeLessThan(-50);
});

test("nano's format sounds as in Python", async () => {
  const [sound] = await decode(goldenImage("nano-levels"), goldenFormat("nano"));
  expect(errorDb(sound, goldenRows("nano-sound")[0], INT16)).toBeLessThan(-50);
});

test("a loop sounds as in Python", async () => {
  const [sound] = await decode(goldenImage("small-levels"), small, "fast", true);
  expect(errorDb(sound, goldenRows("small-loop")[0])).toBeLessThan(-50);
});

test.each([
  ["mid-side", small],
  ["left-right", goldenFormat("left-right")],
])("%s stereo sounds as in Python", async (name, fmt) => {
  const sound = await decode(goldenImage(`${name}-levels`), fmt, "fast");
  for (const [i, expected] of goldenRows(`${name}-sound`).entries()) {
    expect(errorDb(sound[i], expected)).toBeLessThan(-50);
  }
});

test("columns that come one by one sound as the whole image", async () => {
  const image = goldenImage("long-levels");
  async function* pieces(): AsyncGenerator<MelImage> {
    for (let t = 0; t < image.frames; t += 37) {
      yield columns(image, t, Math.min(t + 37, image.frames));
    }
  }
  const blocks: number[] = [];
  for await (const [block] of streamDecode(pieces(), small)) blocks.push(...block);
  const [whole] = await decode(image, small);
  expect(blocks).toEqual([...whole]);
});

test("silence stays silent, and an empty image gives no sound", async () => {
  const silent = { rows: 32, frames: 40, channels: 1, levels: new Uint8Array(32 * 40) };
  const [sound] = await decode(silent, small);
  expect(sound.length).toBe(40 * small.hop_length);
  expect(sound.every((x) => Math.abs(x) < 1e-3)).toBe(true);
  const [none] = await decode({ ...silent, frames: 0, levels: new Uint8Array(0) }, small);
  expect(none.length).toBe(0);
});

test("loud images stay within full scale", async () => {
  const loud = { rows: 32, frames: 40, channels: 1, levels: new Uint8Array(32 * 40).fill(255) };
  const [sound] = await decode(loud, small);
  expect(Math.max(...sound.map(Math.abs))).toBeLessThanOrEqual(1);
});

test("a piece of an image is a view, and joined pieces are the image", () => {
  const image = goldenImage("small-levels");
  expect(joined([columns(image, 0, 11), columns(image, 11, image.frames)])).toEqual(image);
});

test("golden formats parse", () => {
  expect(golden<{ name: string }>("format-nano").name).toBe(goldenFormat("nano").name);
});
