/** One guided prediction of the UNet (`predict` of dmm/generation/denoising.py). */

import type { Bundle } from "../bundle/schema";
import type { Conditions, PromptEmbedding } from "./conditions";
import type { Feeds, PartSession } from "./session";

export interface LatentShape {
  channels: number;
  rows: number;
  columns: number;
}

export const latentSize = ({ channels, rows, columns }: LatentShape): number =>
  channels * rows * columns;

export class Unet {
  constructor(
    readonly session: PartSession,
    readonly latent: Bundle["latent"],
  ) {}

  /** The prediction for scaled noisy latents of one window. */
  async predict(
    noisy: Float32Array,
    shape: LatentShape,
    timestep: number,
    { positive, negative }: Conditions,
    guidance: number,
  ): Promise<Float32Array> {
    if (!negative) return this.#run([noisy], shape, timestep, [positive], guidance);
    const both = await this.#pair(noisy, shape, timestep, [negative, positive], guidance);
    const size = noisy.length;
    const guided = new Float32Array(size);
    for (let i = 0; i < size; i++) guided[i] = both[i] + guidance * (both[size + i] - both[i]);
    return guided;
  }

  /** Without the prompt and with it, side by side: at once where the batch may be two. */
  async #pair(
    noisy: Float32Array,
    shape: LatentShape,
    timestep: number,
    prompts: readonly PromptEmbedding[],
    guidance: number,
  ): Promise<Float32Array> {
    if (this.session.batch !== 1) {
      return this.#run([noisy, noisy], shape, timestep, prompts, guidance);
    }
    const both = new Float32Array(2 * noisy.length);
    for (const [i, prompt] of prompts.entries()) {
      both.set(await this.#run([noisy], shape, timestep, [prompt], guidance), i * noisy.length);
    }
    return both;
  }

  async #run(
    samples: readonly Float32Array[],
    { channels, rows, columns }: LatentShape,
    timestep: number,
    prompts: readonly PromptEmbedding[],
    guidance: number,
  ): Promise<Float32Array> {
    const batch = samples.length;
    const [{ context, pooled }] = prompts;
    const places = this.session.part.inputs.context.shape[1] as number;
    const height = rows * this.latent.factor;
    const width = columns * this.latent.factor;
    const sizes = Float32Array.of(height, width, 0, 0, height, width);
    const feeds: Feeds = {
      sample: { data: beside(samples), dims: [batch, channels, rows, columns] },
      timestep: { data: Float32Array.of(timestep), dims: [1] },
      guidance: { data: Float32Array.of(guidance), dims: [1] }, // of students only
      context: {
        data: beside(prompts.map((prompt) => prompt.context)),
        dims: [batch, places, context.length / places],
      },
      pooled: {
        data: beside(prompts.map((prompt) => prompt.pooled)),
        dims: [batch, pooled.length],
      },
      time_ids: { data: beside(samples.map(() => sizes)), dims: [batch, sizes.length] },
    };
    return (await this.session.run(feeds)).prediction;
  }
}

function beside(arrays: readonly Float32Array[]): Float32Array {
  if (arrays.length === 1) return arrays[0];
  const size = arrays[0].length;
  const all = new Float32Array(arrays.length * size);
  for (const [i, array] of arrays.entries()) all.set(array, i * size);
  return all;
}
