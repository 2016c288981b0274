/** Texts as embeddings: each is read once, in a worker that is ended when it is done. */

import type { NamedBundle } from "../bundle/schema";
import type { Fallback, Machine, TextEmbedding } from "../workers/calls";
import { startTextWorker } from "./workers";

/** Embeddings kept; those of SDXL take 0.6 MB each. */
const KEPT = 32;

export class PromptEncoder {
  readonly #known = new Map<string, TextEmbedding>();

  /** Embeddings in the texts' order. */
  async encode(
    model: NamedBundle,
    texts: readonly string[],
    machine: Machine,
    onFallback: (fallback: Fallback) => void,
    signal: AbortSignal,
  ): Promise<TextEmbedding[]> {
    const key = (text: string) => `${model.id} ${text}`;
    const unknown = [...new Set(texts)].filter((text) => !this.#known.has(key(text)));
    const found = new Map(texts.map((text) => [text, this.#known.get(key(text))]));
    if (unknown.length) {
      const embeddings = await encodeInWorker(model, unknown, machine, onFallback, signal);
      for (const [i, text] of unknown.entries()) {
        found.set(text, embeddings[i]);
        this.#keep(key(text), embeddings[i]);
      }
    }
    return texts.map((text) => found.get(text) as TextEmbedding);
  }

  #keep(key: string, embedding: TextEmbedding): void {
    this.#known.set(key, embedding);
    const [oldest] = this.#known.keys();
    if (this.#known.size > KEPT) this.#known.delete(oldest);
  }
}

async function encodeInWorker(
  model: NamedBundle,
  texts: string[],
  machine: Machine,
  onEvent: (fallback: Fallback) => void,
  signal: AbortSignal,
): Promise<TextEmbedding[]> {
  const worker = startTextWorker();
  const end = () => worker.terminate();
  signal.addEventListener("abort", end);
  try {
    return await worker.call("encode", { model, texts, machine }, { onEvent });
  } finally {
    signal.removeEventListener("abort", end);
    end(); // only ending a worker gives its memory back
  }
}
