/** Embedded prompts as the UNet takes them, and mixtures of them (dmm/generation/conditioning.py). */

export interface PromptEmbedding {
  /** (77, width). */
  context: Float32Array;
  /** The whole prompt in one vector; empty where the UNet takes none. */
  pooled: Float32Array;
}

export interface Conditions {
  positive: PromptEmbedding;
  /** Of the negative prompt, where guidance takes a second pass. */
  negative: PromptEmbedding | undefined;
}

/** The weighted mean of prompts; weights add up to 1. */
export function mixEmbeddings(
  prompts: readonly PromptEmbedding[],
  weights: readonly number[],
): PromptEmbedding {
  const only = weights.indexOf(1);
  if (only >= 0) return prompts[only];
  const mix = (arrays: readonly Float32Array[]) =>
    arrays[0].map((_, i) => arrays.reduce((sum, array, j) => sum + weights[j] * array[i], 0));
  return {
    context: mix(prompts.map(({ context }) => context)),
    pooled: mix(prompts.map(({ pooled }) => pooled)),
  };
}
