/** Where the model runs: on the graphics card through WebGPU, or in WebAssembly. */

import type { PartName } from "../bundle/schema";
import { type Backend, detectGpu, usefulThreads } from "../engine/runtime";
import type { Machine } from "../workers/calls";

/** WebGPU where a card answers; `?backend=` and `?threads=` in the address say otherwise. */
export async function chooseMachine(query: URLSearchParams): Promise<Machine> {
  const { webgpu, software } = await detectGpu();
  const asked = query.get("backend");
  const best: Backend = webgpu && !software ? "webgpu" : "wasm";
  const backend = asked === "wasm" || (asked === "webgpu" && webgpu) ? asked : best;
  const threads = Number(query.get("threads"));
  return { backend, threads: threads >= 1 ? threads : usefulThreads() };
}

/** Parts that went on in WebAssembly, and why. */
export type Fallbacks = ReadonlyMap<PartName, string>;

/** In a few words, and in a sentence that says what would be faster. */
export function describeMachine(
  machine: Machine,
  fallbacks: Fallbacks,
): { short: string; long: string } {
  const { backend } = machine;
  const reason = fallbacks.get("unet");
  if (backend === "wasm" || reason) return describeProcessor(machine, reason);
  const others = [...fallbacks].map(([part, why]) => `${PART_NAMES[part]} (${why})`);
  if (!others.length) {
    return { short: "WebGPU", long: "Models run on the graphics card, through WebGPU." };
  }
  return {
    short: "WebGPU and WebAssembly",
    long: `The UNet runs on the graphics card, through WebGPU; in WebAssembly: ${others.join(", ")}.`,
  };
}

const PART_NAMES: Record<PartName, string> = {
  text_encoder: "the text encoder",
  text_encoder_2: "the second text encoder",
  unet: "the UNet",
  vae_decoder: "the decoder",
};

function describeProcessor({ threads }: Machine, reason: string | undefined) {
  const isolated = globalThis.crossOriginIsolated;
  const used = isolated ? threads : 1;
  const count = `${used} thread${used === 1 ? "" : "s"}`;
  const why =
    reason ??
    ("gpu" in navigator ? "no graphics card answers" : "this browser has no WebGPU, or has it off");
  const single = isolated
    ? ""
    : " This page is not isolated (its host sends no COOP and COEP headers), so only one thread can be used.";
  return {
    short: `WebAssembly, ${count}`,
    long: `Models run on the processor, in WebAssembly with ${count}: ${why}.${single}`,
  };
}
