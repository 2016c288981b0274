/** Runs a model's text encoders, one after the other; the page ends this worker after use. */

import type { NamedBundle } from "../bundle/schema";
import { needFile } from "../bundle/store";
import { PartSession } from "../engine/session";
import { cutToFit } from "../text/fit";
import { Tokenizer } from "../text/tokenizer";
import type { Fallback, TextCalls, TextEmbedding, TextRequest } from "./calls";
import { serve } from "./rpc";

serve<TextCalls>(self, {
  async encode(request, { emit, signal }) {
    const tokenizer = await openTokenizer(request.model);
    const [first] = request.model.bundle.tokenizer.encoders;
    const fitting = request.texts.map((text) => cutToFit(text, tokenizer, first));
    const texts = fitting.map(({ read }) => read);
    const found: TextEmbedding[] = fitting.map(({ unread }) => ({
      context: new Float32Array(0),
      pooled: new Float32Array(0),
      unread,
    }));
    for (const [number, name] of (["text_encoder", "text_encoder_2"] as const).entries()) {
      const rows = await encodeWith(name, number, tokenizer, texts, request, emit);
      signal.throwIfAborted();
      for (const [i, { hidden, pooled }] of rows.entries()) {
        const places = request.model.bundle.tokenizer.encoders[0].max_length;
        found[i].context = sideBySide(found[i].context, hidden, places);
        if (pooled) found[i].pooled = pooled;
      }
    }
    return found;
  },
});

async function openTokenizer({ bundle }: NamedBundle): Promise<Tokenizer> {
  const { sha256, bytes, file } = bundle.tokenizer.merges;
  return new Tokenizer(await (await needFile(sha256, bytes, file)).text());
}

interface Read {
  hidden: Float32Array;
  pooled?: Float32Array;
}

/** Every text through one encoder; empty where the model has no such encoder. */
async function encodeWith(
  name: "text_encoder" | "text_encoder_2",
  number: number,
  tokenizer: Tokenizer,
  texts: readonly string[],
  { model: { bundle }, machine }: TextRequest,
  onFallback: (fallback: Fallback) => void,
): Promise<Read[]> {
  const part = bundle.parts[name];
  if (!part) return [];
  const session = await PartSession.open(name, part, machine, onFallback);
  const encoder = bundle.tokenizer.encoders[number];
  const rows: Read[] = [];
  for (const text of texts) {
    const ids = tokenizer.encode(text, encoder);
    const { hidden, pooled } = await session.run({
      input_ids: { data: ids, dims: [1, ids.length] },
    });
    rows.push(pooled ? { hidden, pooled } : { hidden });
  }
  await session.release(); // its heap serves the next encoder
  return rows;
}

/** Two rows of (places, width) as one of (places, both widths). */
function sideBySide(left: Float32Array, right: Float32Array, places: number): Float32Array {
  if (left.length === 0) return right;
  const [a, b] = [left.length / places, right.length / places];
  const both = new Float32Array(left.length + right.length);
  for (let place = 0; place < places; place++) {
    both.set(left.subarray(place * a, (place + 1) * a), place * (a + b));
    both.set(right.subarray(place * b, (place + 1) * b), place * (a + b) + a);
  }
  return both;
}
