import { expect, test } from "vitest";
import { cellBrightness, fitPreview, sketchLatent } from "../src/page/preview";

test("a sketch by a fitted map shows the brightness that it was fitted to", () => {
  const channels = 3;
  const cells = 64;
  const latent = Float32Array.from({ length: channels * cells }, (_, i) => Math.sin(i * i));
  const brightness = Float32Array.from(
    { length: cells },
    (_, i) => 100 + 20 * latent[i] - 35 * latent[cells + i] + 5 * latent[2 * cells + i],
  );
  const sketch = sketchLatent(latent, channels, fitPreview(latent, channels, brightness));
  for (let i = 0; i < cells; i++) expect(Math.abs(sketch[i] - brightness[i])).toBeLessThan(1);
});

test("without a map a sketch shows where the latent is large", () => {
  const sketch = sketchLatent(Float32Array.of(0, 3, 0, 4), 2, undefined);
  expect(sketch[0]).toBe(0);
  expect(sketch[1]).toBeGreaterThan(100);
});

test("brightness is that of the cells, the highest row on top", () => {
  // 4 rows and 4 frames, frame by frame from the lowest row; the top left cell is bright.
  const levels = Uint8Array.of(0, 0, 80, 80, 0, 0, 80, 80, 0, 0, 0, 0, 0, 0, 0, 0);
  expect([...cellBrightness(levels, 4, 2, 2)]).toEqual([80, 0, 0, 0]);
});
