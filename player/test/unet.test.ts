/** Passes of the UNet: guided as a batch of two or one by one, or with guidance as an input. */

import { expect, test } from "vitest";
import { parseBundle } from "../src/bundle/schema";
import { mixEmbeddings } from "../src/engine/conditions";
import type { Feeds, PartSession } from "../src/engine/session";
import { defaultSettings, isGuided } from "../src/engine/settings";
import { Unet } from "../src/engine/unet";
import { bundle } from "./bundle";

const LATENT = { channels: 1, rows: 1, columns: 2, factor: 8 };
const prompt = (value: number) => ({
  context: Float32Array.of(value, value),
  pooled: Float32Array.of(value),
});

/** A session whose prediction is the context's first value, and all that it was fed. */
function fakeSession(batch: number | undefined) {
  const fed: Feeds[] = [];
  const run = async (feeds: Feeds) => {
    fed.push(feeds);
    const [rows] = feeds.sample.dims;
    const context = feeds.context.data;
    const each = context.length / rows;
    const prediction = Float32Array.from({ length: 2 * rows }, (_, i) => context[each * (i >> 1)]);
    return { prediction };
  };
  const part = { inputs: { context: { dtype: "float32", shape: ["batch", 2, 1] } } };
  return { fed, session: { run, part, batch } as unknown as PartSession };
}

test.each([
  [undefined, 1],
  [1, 2],
])("guidance with batch %s takes %i calls", async (batch, calls) => {
  const { session, fed } = fakeSession(batch);
  const conditions = { positive: prompt(3), negative: prompt(1) };
  const noisy = Float32Array.of(0, 0);
  const found = await new Unet(session, LATENT).predict(noisy, LATENT, 5, conditions, 2);
  expect([...found]).toEqual([5, 5]);
  expect(fed.length).toBe(calls);
});

test("a student gets guidance as a number and needs one pass", async () => {
  const json = bundle();
  const inputs = { guidance: { dtype: "float32", shape: ["timesteps"] } };
  Object.assign((json.parts as Record<string, object>).unet, { inputs });
  const { bundle: student } = parseBundle(JSON.stringify(json));
  expect(isGuided(student, defaultSettings(student))).toBe(false);
  const { session, fed } = fakeSession(undefined);
  const conditions = { positive: prompt(3), negative: undefined };
  await new Unet(session, LATENT).predict(Float32Array.of(0, 0), LATENT, 5, conditions, 4);
  expect([...fed[0].guidance.data]).toEqual([4]);
});

test("prompts are mixed by their weights", () => {
  const mixed = mixEmbeddings([prompt(1), prompt(5)], [0.75, 0.25]);
  expect([...mixed.context, ...mixed.pooled]).toEqual([2, 2, 2]);
});
