/**
 * FLAC files: 16-bit samples behind fixed predictors and Rice codes (RFC 9639).
 *
 * Linear prediction would save a tenth more; these need a hundred lines.
 */

import { BitWriter } from "./bit-writer";
import { concatBytes } from "./bytes";
import { crc8, crc16 } from "./crc";
import { toInt16 } from "./pcm";

const BLOCK = 4096;
const BITS = 16;
const HIGHEST_ORDER = 4;
const SUBFRAME_FIXED = 0b001000;
/** Residuals of each partition have a Rice parameter of their own. */
const PARTITION_BITS = 3;

export function flacFile(sound: readonly Float32Array[], sr: number): Uint8Array<ArrayBuffer> {
  const pcm = toInt16(sound);
  const channels = sound.length;
  const samples = sound[0].length;
  const parts = [header(samples, channels, sr)];
  for (let start = 0, number = 0; start < samples; start += BLOCK, number++) {
    const count = Math.min(BLOCK, samples - start);
    const block = Array.from({ length: channels }, (_, channel) =>
      Int32Array.from({ length: count }, (_, i) => pcm[(start + i) * channels + channel]),
    );
    parts.push(frame(block, number));
  }
  return concatBytes(parts);
}

/** The file's mark and its one metadata block, STREAMINFO. */
function header(samples: number, channels: number, sr: number): Uint8Array {
  const bits = new BitWriter();
  for (const letter of "fLaC") bits.write(letter.charCodeAt(0), 8);
  bits.write(0x80, 8); // the last block, of type 0
  bits.write(34, 24);
  bits.write(BLOCK, 16);
  bits.write(BLOCK, 16);
  bits.write(0, 24); // frame sizes: unknown
  bits.write(0, 24);
  bits.write(sr, 20);
  bits.write(channels - 1, 3);
  bits.write(BITS - 1, 5);
  bits.write(Math.floor(samples / 2 ** 24), 12);
  bits.write(samples % 2 ** 24, 24);
  for (let i = 0; i < 16; i++) bits.write(0, 8); // no checksum of the samples
  return bits.bytes();
}

function frame(block: readonly Int32Array[], number: number): Uint8Array {
  const bits = new BitWriter();
  const count = block[0].length;
  bits.write(0b11111111111110, 14);
  bits.write(0, 2); // blocks of one size
  bits.write(count === BLOCK ? 0b1100 : 0b0111, 4);
  bits.write(0, 4); // the rate is in STREAMINFO
  bits.write(block.length - 1, 4);
  bits.write(0b1000, 4); // 16 bits
  for (const byte of codedNumber(number)) bits.write(byte, 8);
  if (count !== BLOCK) bits.write(count - 1, 16);
  bits.write(crc8(bits.bytes()), 8);
  for (const samples of block) subframe(bits, samples);
  bits.align();
  bits.write(crc16(bits.bytes()), 16);
  return bits.bytes();
}

/** A number as UTF-8 codes one. */
function codedNumber(number: number): Uint8Array {
  return new TextEncoder().encode(String.fromCodePoint(number));
}

/** The fixed predictor whose residuals are smallest, and those. */
function subframe(bits: BitWriter, samples: Int32Array): void {
  let residual = samples;
  let best = { order: 0, residual, cost: sumOfSizes(residual, 0) };
  for (let order = 1; order <= Math.min(HIGHEST_ORDER, samples.length - 1); order++) {
    residual = Int32Array.from(residual, (value, i) => (i ? value - residual[i - 1] : value));
    const cost = sumOfSizes(residual, order);
    if (cost < best.cost) best = { order, residual, cost };
  }
  bits.write(SUBFRAME_FIXED | best.order, 7);
  bits.write(0, 1);
  for (let i = 0; i < best.order; i++) bits.write(samples[i], BITS);
  rice(bits, best.residual, best.order);
}

const sumOfSizes = (values: Int32Array, from: number): number => {
  let sum = 0;
  for (let i = from; i < values.length; i++) sum += Math.abs(values[i]);
  return sum;
};

function rice(bits: BitWriter, residual: Int32Array, order: number): void {
  const splits = residual.length === BLOCK ? PARTITION_BITS : 0;
  const size = residual.length >> splits;
  bits.write(1, 2); // parameters of five bits
  bits.write(splits, 4);
  for (let part = 0; part < 1 << splits; part++) {
    const values = residual.subarray(part ? part * size : order, (part + 1) * size);
    const mean = values.length ? sumOfSizes(values, 0) / values.length : 0;
    const parameter = Math.max(0, Math.min(20, Math.ceil(Math.log2(mean + 1))));
    bits.write(parameter, 5);
    for (const value of values) {
      const folded = value < 0 ? -2 * value - 1 : 2 * value;
      bits.unary(folded >>> parameter);
      if (parameter) bits.write(folded, parameter);
    }
  }
}
