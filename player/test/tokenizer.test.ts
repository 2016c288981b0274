import { readFileSync } from "node:fs";
import { expect, inject, test } from "vitest";
import { cutToFit } from "../src/text/fit";
import { type EncoderTokens, Tokenizer } from "../src/text/tokenizer";
import { golden } from "./golden";

interface Golden {
  merges: string;
  encoders: EncoderTokens[];
  cases: { text: string; ids: number[][] }[];
}
const nano = golden<Golden>("tokens");

function differences({ merges, encoders, cases }: Golden) {
  const tokenizer = new Tokenizer(merges);
  return cases
    .map(({ text, ids }) => ({
      text,
      ids,
      found: encoders.map((encoder) => tokenizer.tokens(text, encoder)),
    }))
    .filter(({ ids, found }) => JSON.stringify(found) !== JSON.stringify(ids));
}

test("200 texts have nano's tokens", () => {
  expect(differences(nano)).toEqual([]);
});

test("5,000 texts have CLIP's tokens", () => {
  const whole: Golden = JSON.parse(readFileSync(inject("clipTokens"), "utf-8"));
  expect(whole.cases.length).toBe(5000);
  expect(differences(whole)).toEqual([]);
});

test("a row has 77 tokens: beginning, text, end, padding", () => {
  const [first] = nano.encoders;
  const row = new Tokenizer(nano.merges).encode("piano", first);
  const { ids } = nano.cases.find(({ text }) => text === "") ?? { ids: [] };
  expect(ids[0]).toEqual([]);
  expect(row.length).toBe(77);
  expect(row[0]).toBe(first.bos);
  expect([...row].filter((id) => id === first.eos).length).toBeGreaterThan(60);
});

test("a prompt that is too long loses whole words at its end, and says which", () => {
  const tokenizer = new Tokenizer(nano.merges);
  const [encoder] = nano.encoders;
  const words = Array.from({ length: 60 }, () => "piano");
  const { read, unread } = cutToFit(words.join(" "), tokenizer, encoder);
  const count = tokenizer.tokens(read, encoder).length;
  expect(count).toBeLessThanOrEqual(75);
  expect(count + tokenizer.tokens("piano", encoder).length).toBeGreaterThan(75);
  expect(read.split(" ").length + unread.length).toBe(60);
});
