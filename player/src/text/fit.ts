/** Cutting a prompt to what CLIP reads (`cut_to_fit` of dmm/generation/conditioning.py). */

import type { EncoderTokens, Tokenizer } from "./tokenizer";

export interface FittingPrompt {
  /** Whole words that fit. */
  read: string;
  /** The words that do not. */
  unread: string[];
}

export function cutToFit(
  prompt: string,
  tokenizer: Tokenizer,
  encoder: EncoderTokens,
): FittingPrompt {
  const words = prompt.split(/\s+/u).filter(Boolean);
  const fits = (count: number): boolean =>
    tokenizer.tokens(words.slice(0, count).join(" "), encoder).length <= encoder.max_length - 2;
  if (fits(words.length)) return { read: prompt, unread: [] };
  let [low, high] = [0, words.length]; // so many fit; so many do not
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (fits(middle)) low = middle;
    else high = middle;
  }
  return { read: words.slice(0, low).join(" "), unread: words.slice(low) };
}
