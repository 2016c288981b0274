/** Forecast of the memory that a model takes in this browser. */

import type { Backend } from "../engine/runtime";
import { type Bundle, type Part, type PartName, partsOf } from "./schema";

/** ONNX Runtime, its threads and the page around it. */
const RUNTIME_BYTES = 150e6;
/** WebAssembly addresses no more. */
export const WASM_LIMIT = 4 * 2 ** 30;

export interface MemoryForecast {
  /** Most that the page takes at any time. */
  peak: number;
  /** Most of one worker's WebAssembly heap. */
  heap: number;
}

/** Text encoders run first, in a worker of their own that is then ended. */
export function forecastMemory(bundle: Bundle, backend: Backend): MemoryForecast {
  const sizes = new Map(partsOf(bundle).map(([name, part]) => [name, partBytes(part, backend)]));
  const size = (name: PartName) => sizes.get(name) ?? 0;
  const text = Math.max(size("text_encoder"), size("text_encoder_2"));
  const image = size("unet") + size("vae_decoder");
  return { peak: RUNTIME_BYTES + image + text, heap: Math.max(text, image) };
}

const storedBytes = ({ model, data }: Part): number =>
  data.reduce((sum, { bytes }) => sum + bytes, model.bytes);

/** Of one part, with its files, which are in memory once while it is loaded. */
function partBytes(part: Part, backend: Backend): number {
  const stated = part.memory?.[backend === "webgpu" ? "webgpu_peak_bytes" : "wasm_peak_bytes"];
  return storedBytes(part) + (stated ?? storedBytes(part));
}
