/** Texts as embeddings: each is read once, in a worker that ends if its encoders are large. */

import { type NamedBundle, storedBytes } from "../bundle/schema";
import type { Fallback, Machine, TextCalls, TextEmbedding } from "../workers/calls";
import type { WorkerClient } from "../workers/rpc";
import { startTextWorker } from "./workers";

/** Embeddings kept; those of SDXL take 0.6 MB each. */
const KEPT = 32;
/** Encoders of fewer bytes take less memory than a runtime that is loaded again for each prompt. */
const SMALL_BYTES = 32e6;

export class PromptEncoder {
  readonly #known = new Map<string, TextEmbedding>();
  #worker: WorkerClient<TextCalls> | undefined;

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
      const embeddings = await this.#encodeInWorker(model, unknown, machine, onFallback, signal);
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

  /** End the worker, which alone gives its memory back. */
  endWorker(): void {
    this.#worker?.terminate();
    this.#worker = undefined;
  }

  async #encodeInWorker(
    model: NamedBundle,
    texts: string[],
    machine: Machine,
    onEvent: (fallback: Fallback) => void,
    signal: AbortSignal,
  ): Promise<TextEmbedding[]> {
    this.#worker ??= startTextWorker();
    const end = () => this.endWorker();
    signal.addEventListener("abort", end);
    try {
      const found = await this.#worker.call("encode", { model, texts, machine }, { onEvent });
      if (encoderBytes(model) > SMALL_BYTES) end();
      return found;
    } catch (error) {
      end();
      throw error;
    } finally {
      signal.removeEventListener("abort", end);
    }
  }
}

function encoderBytes({ bundle: { parts } }: NamedBundle): number {
  const encoders = [parts.text_encoder, parts.text_encoder_2];
  return encoders.reduce((sum, part) => sum + (part ? storedBytes(part) : 0), 0);
}
