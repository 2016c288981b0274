/** CLIP's byte-pair encoding: its vocabulary follows from the order of its merges. */

import { cleanText } from "./clean";

export interface EncoderTokens {
  vocab_size: number;
  bos: number;
  eos: number;
  pad: number;
  max_length: number;
}

const WORDS =
  /<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+/giu;
const END = "</w>";

export class Tokenizer {
  readonly #symbols: readonly string[];
  readonly #ranks = new Map<string, number>();
  readonly #ids = new Map<string, number>();
  readonly #bytes = byteSymbols();
  readonly #known = new Map<string, number[]>();

  /** `merges` is the text of merges.txt. */
  constructor(merges: string) {
    const pairs = merges
      .trim()
      .split("\n")
      .filter((line) => !line.startsWith("#version"));
    const single = [...vocabularyOrder(this.#bytes)];
    this.#symbols = [
      ...single,
      ...single.map((symbol) => symbol + END),
      ...pairs.map((pair) => pair.replace(" ", "")),
    ];
    for (const [id, symbol] of this.#symbols.entries()) this.#ids.set(symbol, id);
    for (const [rank, pair] of pairs.entries()) this.#ranks.set(pair, rank);
  }

  /** Tokens of a text without beginning, end and padding. */
  tokens(text: string, encoder: EncoderTokens): number[] {
    return this.#split(text, encoder).flatMap((part) =>
      typeof part === "number" ? [part] : this.#plain(part),
    );
  }

  /** `max_length` tokens: beginning, as much as fits, end, padding. */
  encode(text: string, encoder: EncoderTokens): Int32Array<ArrayBuffer> {
    const ids = new Int32Array(encoder.max_length).fill(encoder.pad);
    const kept = this.tokens(text, encoder).slice(0, encoder.max_length - 2);
    ids.set([encoder.bos, ...kept, encoder.eos]);
    return ids;
  }

  /** Special tokens that are written out in a text, and what stands between them. */
  #split(text: string, { bos, eos, pad }: EncoderTokens): (string | number)[] {
    const special = new Map([
      ["<|startoftext|>", bos],
      ["<|endoftext|>", eos],
    ]);
    if (pad !== eos) special.set(this.#symbols[pad], pad); // SDXL's second encoder pads with "!"
    const written = new RegExp(`(${[...special.keys()].map(escaped).join("|")})`);
    return text.split(written).map((part) => special.get(part) ?? part);
  }

  #plain(text: string): number[] {
    return (cleanText(text).match(WORDS) ?? []).flatMap((word) => this.#word(word));
  }

  #word(word: string): number[] {
    let ids = this.#known.get(word);
    if (!ids) {
      const letters = Array.from(new TextEncoder().encode(word), (byte) => this.#bytes[byte]);
      ids = this.#merge(letters).map((symbol) => this.#ids.get(symbol) as number);
      this.#known.set(word, ids);
    }
    return ids;
  }

  /** Merges pairs of symbols in the order of their ranks until none is left. */
  #merge(letters: string[]): string[] {
    let symbols = [...letters.slice(0, -1), letters[letters.length - 1] + END];
    for (;;) {
      const pair = this.#firstPair(symbols);
      if (pair === undefined) return symbols;
      const merged: string[] = [];
      for (let i = 0; i < symbols.length; i++) {
        if (`${symbols[i]} ${symbols[i + 1]}` === pair) merged.push(symbols[i] + symbols[++i]);
        else merged.push(symbols[i]);
      }
      symbols = merged;
    }
  }

  #firstPair(symbols: readonly string[]): string | undefined {
    let best: string | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i + 1 < symbols.length; i++) {
      const pair = `${symbols[i]} ${symbols[i + 1]}`;
      const rank = this.#ranks.get(pair) ?? Number.POSITIVE_INFINITY;
      if (rank < least) [best, least] = [pair, rank];
    }
    return best;
  }
}

const escaped = (text: string): string => text.replace(/[|()[\]{}.*+?^$\\]/g, "\\$&");

/** Bytes that CLIP writes as themselves. */
const isPlain = (byte: number): boolean =>
  (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);

/** A visible character for every byte. */
function byteSymbols(): string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCodePoint(isPlain(byte) ? byte : next++),
  );
}

/** The characters in the vocabulary's order: bytes written as themselves come first. */
function* vocabularyOrder(symbols: readonly string[]): Generator<string> {
  for (const plain of [true, false]) {
    for (const [byte, symbol] of symbols.entries()) if (isPlain(byte) === plain) yield symbol;
  }
}
