import { expect, test } from "vitest";
import { parseBundle } from "../src/bundle/schema";
import { fromFragment, type Recipe, toFragment } from "../src/page/share";
import { bundle } from "./bundle";

const { bundle: parsed } = parseBundle(JSON.stringify(bundle()));
const recipe: Recipe = {
  model: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
  timeline: {
    parts: [
      { prompt: "piano & bass #1, slow", seconds: 5.12 },
      { prompt: "орган, быстро", seconds: 20 },
    ],
    crossfade: 2,
    loop: true,
  },
  seed: 9_999_999_999,
  settings: { sampler: "euler", steps: 7, guidance: 3.5, negativePrompt: "noise" },
};

test("a link says all that decides a clip", () => {
  const shared = fromFragment(`#${toFragment(recipe, parsed)}`);
  expect(shared?.timeline).toEqual(recipe.timeline);
  expect(shared?.seed).toBe(recipe.seed);
  expect(shared?.settings).toEqual(recipe.settings);
  expect(recipe.model.startsWith(shared?.model ?? "x")).toBe(true);
});

test("what is as the model's author set it is left out of a link", () => {
  const { sampler, steps, guidance, negative_prompt } = parsed.sampling;
  const settings = { sampler, steps, guidance, negativePrompt: negative_prompt };
  const fragment = toFragment({ ...recipe, settings }, parsed);
  expect(fromFragment(fragment)?.settings).toEqual({});
});

test.each([
  "",
  "#stage",
  "model=0123456789&seed=1",
  "model=x&seed=1&p=a&s=5",
  "model=0123456789&seed=-1&p=a&s=5",
  "model=0123456789&seed=1&p=a&s=5&p=b",
  "model=0123456789&seed=1&p=a&s=1e9",
])("%s is no such link", (fragment) => {
  expect(fromFragment(fragment)).toBeUndefined();
});

test.each([0, -1, 4.25, 31])("a link keeps guidance %s and 150 steps", (guidance) => {
  const settings = { ...recipe.settings, steps: 150, guidance };
  const fragment = toFragment({ ...recipe, settings }, parsed);
  expect(fromFragment(fragment)?.settings).toEqual(settings);
});

test("a setting out of bounds is left out", () => {
  const link = "model=0123456789&seed=1&p=a&s=5&steps=0&sampler=magic&guidance=";
  expect(fromFragment(link)?.settings).toEqual({});
});
