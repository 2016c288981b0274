/** Golden files of tests/golden, which tests/golden/make.py writes. */

import { readFileSync } from "node:fs";
import { parseFormat } from "../src/codec/format";
import { emptyImage, type MelImage } from "../src/codec/mel-image";

const FOLDER = new URL("../../tests/golden/", import.meta.url);

export const golden = <T>(name: string): T =>
  JSON.parse(readFileSync(new URL(`${name}.json`, FOLDER), "utf-8"));

export const goldenFormat = (name: string) => parseFormat(golden(`format-${name}`));

type NumberArray = Float32Array | Int16Array | Uint8Array;
const KINDS: Record<string, (buffer: ArrayBuffer) => NumberArray> = {
  "<f4": (buffer) => new Float32Array(buffer),
  "<i2": (buffer) => new Int16Array(buffer),
  "|u1": (buffer) => new Uint8Array(buffer),
};

export interface GoldenArray {
  shape: number[];
  data: NumberArray;
}

/** A .npy file (NumPy enhancement proposal 1), rows last to change. */
export function goldenArray(name: string): GoldenArray {
  const file = readFileSync(new URL(`${name}.npy`, FOLDER));
  const start = 10 + file.readUInt16LE(8);
  const header = file.toString("latin1", 10, start);
  const [, kind] = header.match(/'descr': '([^']+)'/) ?? [];
  const [, shape] = header.match(/'shape': \(([^)]*)\)/) ?? [];
  const bytes = new Uint8Array(file.subarray(start)).buffer;
  return {
    shape: shape
      .split(",")
      .filter((n) => n.trim())
      .map(Number),
    data: KINDS[kind](bytes),
  };
}

/** Levels as (rows, frames) or (rows, frames, 3), the lowest row first. */
export function goldenImage(name: string): MelImage {
  const { shape, data } = goldenArray(name);
  const [rows, frames, channels = 1] = shape;
  const image = emptyImage(rows, frames, channels);
  for (let row = 0; row < rows; row++) {
    for (let frame = 0; frame < frames; frame++) {
      for (let c = 0; c < channels; c++) {
        image.levels[(frame * rows + row) * channels + c] =
          data[(row * frames + frame) * channels + c];
      }
    }
  }
  return image;
}

/** Rows of (rows, length). */
export const goldenRows = (name: string): NumberArray[] => {
  const { shape, data } = goldenArray(name);
  return Array.from({ length: shape[0] }, (_, i) =>
    data.subarray(i * shape[1], (i + 1) * shape[1]),
  );
};

/** Energy of the difference beside that of what is expected, decibels. */
export function errorDb(found: ArrayLike<number>, expected: ArrayLike<number>, scale = 1): number {
  if (found.length !== expected.length) throw new Error(`${found.length}, not ${expected.length}`);
  let [error, energy] = [0, 0];
  for (let i = 0; i < found.length; i++) {
    error += (found[i] - expected[i] / scale) ** 2;
    energy += (expected[i] / scale) ** 2;
  }
  return 10 * Math.log10(error / energy);
}
