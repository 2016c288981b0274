import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { forecastMemory } from "../src/bundle/memory";
import {
  bundleBytes,
  bundleFiles,
  type Part,
  type PartName,
  parseBundle,
  partsOf,
} from "../src/bundle/schema";
import { UserError } from "../src/errors";
import { bundle } from "./bundle";

const text = (change: Record<string, unknown> = {}) => JSON.stringify(bundle(change));

test("a bundle is known by the SHA-256 of its bundle.json", () => {
  const { id, bundle: parsed } = parseBundle(text());
  expect(id).toBe(createHash("sha256").update(text()).digest("hex"));
  expect(partsOf(parsed).map(([name]) => name)).toEqual([
    "text_encoder",
    "text_encoder_2",
    "unet",
    "vae_decoder",
  ]);
});

test("a file that two parts share counts once", () => {
  const { bundle: parsed } = parseBundle(text());
  const before = bundleBytes(parsed);
  parsed.parts.vae_decoder.data = parsed.parts.unet.data;
  expect(bundleBytes(parsed)).toBe(before - 4e6);
  expect(bundleFiles(parsed).length).toBe(9);
});

test.each([
  ["not json", "not valid JSON"],
  ["[]", "names no version"],
  [text({ version: 2 }), "version 2, and this page reads version 1; use a newer page"],
  [text({ parts: {} }), "no part text_encoder"],
  [text({ latent: null }), "no latent"],
  [text({ format: { file: "../mel.json", bytes: 1, sha256: "0".repeat(64) } }), '"../mel.json"'],
  [text({ format: { file: "/mel.json", bytes: 1, sha256: "0".repeat(64) } }), '"/mel.json"'],
  [text({ format: { file: "mel.json", bytes: -1, sha256: "0".repeat(64) } }), "no size"],
  [text({ format: { file: "mel.json", bytes: 1, sha256: "xyz" } }), "no SHA-256"],
  [text({ sampling: { sampler: "magic" } }), 'sampler "magic" is not among'],
])("a damaged or newer bundle is refused in a sentence (%#)", (damaged, said) => {
  expect(() => parseBundle(damaged)).toThrow(UserError);
  expect(() => parseBundle(damaged)).toThrow(said);
});

test("a memory forecast grows with the weights and is at least twice them in WebAssembly", () => {
  const { bundle: parsed } = parseBundle(text());
  const small = forecastMemory(parsed, "wasm");
  expect(small.heap).toBeGreaterThan(2 * 30e6);
  parsed.parts.unet.data[0].bytes += 1e9;
  expect(forecastMemory(parsed, "wasm").peak - small.peak).toBeGreaterThanOrEqual(2e9);
});

test("a memory forecast of a large model is at most 15 % above what Chromium took", () => {
  const { bundle: parsed } = parseBundle(text());
  const measured = {
    text_encoder: [232188109, 546806024],
    text_encoder_2: [445044458, 1084936831],
    unet: [679192824, 1879610135],
    vae_decoder: [2459299, 206212159],
  };
  for (const [name, [stored, heap]] of Object.entries(measured)) {
    const part = parsed.parts[name as PartName] as Part;
    part.data[0].bytes = stored;
    part.memory = { wasm_peak_bytes: heap, webgpu_peak_bytes: 0, largest_tensor_bytes: 0 };
  }
  const { peak, heap } = forecastMemory(parsed, "wasm");
  for (const [forecast, seen] of [
    [peak, 3377e6],
    [heap, 1967e6],
  ]) {
    expect(forecast).toBeGreaterThan(seen);
    expect(forecast).toBeLessThan(1.15 * seen);
  }
});
