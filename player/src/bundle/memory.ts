/** Forecast of the memory that a model takes in this browser. */

import type { Backend } from "../engine/runtime";
import { type Bundle, type Part, type PartName, partsOf, storedBytes } from "./schema";

/** ONNX Runtime, loaded and compiled in two workers, and the page around it (docs/log.md). */
const RUNTIME_BYTES = 300e6;
/** A large table of embeddings, or what V8 lets lie before it frees. */
const READ_BYTES = 130e6;
/** WebAssembly addresses no more. */
export const WASM_LIMIT = 4 * 2 ** 30;

export interface MemoryForecast {
  /** Most that the page takes at any time. */
  peak: number;
  /** Most of one worker's WebAssembly heap. */
  heap: number;
}

/** Of one part, in bytes. */
interface Needs {
  /** Copies of its weights that JavaScript has read and not yet freed. */
  read: number;
  /** Its weights, once it is loaded. */
  loaded: number;
  /** Its weights and activations, at their peak. */
  running: number;
}

/**
 * The encoders run one after another in a worker of their own, while UNet and decoder are loaded.
 * When the decoder runs, that worker has ended, or its encoders are small.
 */
export function forecastMemory(bundle: Bundle, backend: Backend): MemoryForecast {
  const needs = new Map(partsOf(bundle).map(([name, part]) => [name, needsOf(part, backend)]));
  const of = (name: PartName) => needs.get(name) ?? { read: 0, loaded: 0, running: 0 };
  const [unet, decoder] = [of("unet"), of("vae_decoder")];
  const encoders = [of("text_encoder"), of("text_encoder_2")];
  const text = Math.max(...encoders.map(({ running }) => running));
  const encoding = Math.max(...encoders.map(({ read, running }) => read + running));
  const image = unet.running + decoder.running;
  const loading = encoding + unet.read + unet.running + decoder.loaded;
  const decoding = unet.read + decoder.read + image;
  return { peak: RUNTIME_BYTES + Math.max(loading, decoding), heap: Math.max(text, image) };
}

function needsOf(part: Part, backend: Backend): Needs {
  const stored = storedBytes(part);
  const onGpu = backend === "webgpu";
  const stated = part.memory?.[onGpu ? "webgpu_peak_bytes" : "wasm_peak_bytes"];
  const running = stated ?? (onGpu ? stored : 2 * stored);
  const read = onGpu ? stored : Math.min(stored, READ_BYTES);
  return { read, loaded: Math.min(running, 2 * stored), running };
}
