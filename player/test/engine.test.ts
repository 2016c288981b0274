import { expect, test, vi } from "vitest";
import { emptyImage } from "../src/codec/mel-image";
import { Engine } from "../src/engine/engine";
import { goldenFormat } from "./golden";

test("a cancelled join fails at once and ends its worker, which never answers", async () => {
  const [postMessage, terminate] = [vi.fn(), vi.fn()];
  vi.stubGlobal("Worker", function SilentWorker() {
    return { postMessage, terminate };
  });
  const engine = new Engine({ backend: "wasm", threads: 1 });
  const control = new AbortController();
  const fmt = goldenFormat("small");
  const sound = engine.sound(emptyImage(fmt.n_mels, 4, 1), fmt, vi.fn(), control.signal);
  await vi.waitFor(() => expect(postMessage).toHaveBeenCalled());
  control.abort();
  await expect(sound).rejects.toThrow("abort");
  expect(terminate).toHaveBeenCalledOnce();
  vi.unstubAllGlobals();
}, 5000);
