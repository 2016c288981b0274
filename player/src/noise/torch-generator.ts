/**
 * Standard normal noise as `torch.randn` gives it on a CPU for a seed, but for rounding.
 *
 * From 16 values on torch fills blocks of 16 by Box and Muller, eight radii and eight angles; below
 * that it makes pairs in double precision, of which the second waits for the next call
 * (aten/src/ATen/native/cpu/DistributionTemplates.h and ATen/core/DistributionsHelper.h).
 */

import { MersenneTwister } from "./mersenne-twister";

const BLOCK = 16;
const HALF = BLOCK / 2;

export class TorchGenerator {
  readonly #bits: MersenneTwister;
  #waiting: number | undefined;

  constructor(seed: number) {
    this.#bits = new MersenneTwister(seed);
  }

  /** As many normal values as `torch.randn` makes in one call. */
  normal(count: number): Float32Array<ArrayBuffer> {
    if (count < BLOCK) return Float32Array.from({ length: count }, () => this.#single());
    const values = Float32Array.from({ length: count }, () => this.#uniform());
    for (let at = 0; at + BLOCK <= count; at += BLOCK) boxMuller(values, at);
    if (count % BLOCK) {
      const last = count - BLOCK;
      for (let i = last; i < count; i++) values[i] = this.#uniform();
      boxMuller(values, last);
    }
    return values;
  }

  /** 24 random bits in 0..1. */
  #uniform(): number {
    return (this.#bits.next() & 0xffffff) / 2 ** 24;
  }

  /** 53 random bits in 0..1. */
  #uniformDouble(): number {
    const high = this.#bits.next() & 0x1fffff;
    return (high * 2 ** 32 + this.#bits.next()) / 2 ** 53;
  }

  #single(): number {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) return waiting;
    const angle = 2 * Math.PI * this.#uniformDouble();
    const radius = Math.sqrt(-2 * Math.log1p(-this.#uniformDouble()));
    this.#waiting = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }
}

function boxMuller(values: Float32Array, at: number): void {
  for (let i = at; i < at + HALF; i++) {
    const radius = Math.sqrt(-2 * Math.log(1 - values[i]));
    const angle = 2 * Math.PI * values[i + HALF];
    values[i] = radius * Math.cos(angle);
    values[i + HALF] = radius * Math.sin(angle);
  }
}
