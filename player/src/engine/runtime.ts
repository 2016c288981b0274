/**
 * ONNX Runtime in the build that suits this machine.
 *
 * Without WebGPU the small build is enough; with it, the one that suspends WebAssembly natively
 * (JSPI) is 4 MB and the one that was rewritten to be suspended (Asyncify) 6.6 MB, compressed.
 */

import type * as Ort from "onnxruntime-common";

export type Backend = "webgpu" | "wasm";
export type Runtime = typeof Ort;

export interface GpuSupport {
  /** An adapter answers. */
  webgpu: boolean;
  /** Its shaders compute in half precision. */
  halfPrecision: boolean;
  /** A software adapter: slower than WebAssembly, used only on request. */
  software: boolean;
}

/** Detect the graphics adapter and what it supports. */
export async function detectGpu(): Promise<GpuSupport> {
  const none = { webgpu: false, halfPrecision: false, software: false };
  if (!("gpu" in navigator)) return none;
  try {
    const adapter = await navigator.gpu.requestAdapter();
    if (!adapter) return none;
    const { info, features } = adapter;
    const software = info.isFallbackAdapter || /swiftshader|llvmpipe/i.test(info.architecture);
    return { webgpu: true, halfPrecision: features.has("shader-f16"), software };
  } catch {
    return none; // a driver that fails is none
  }
}

/** Load the runtime for a backend; `threads` counts only where the page is isolated. */
export async function loadRuntime(backend: Backend, threads: number): Promise<Runtime> {
  const ort = await importRuntime(backend);
  ort.env.wasm.numThreads = globalThis.crossOriginIsolated ? threads : 1;
  ort.env.logLevel = "error";
  return ort;
}

function importRuntime(backend: Backend): Promise<Runtime> {
  if (backend === "wasm") return import("onnxruntime-web/wasm");
  if ("Suspending" in WebAssembly) return import("onnxruntime-web/jspi");
  return import("onnxruntime-web/webgpu");
}

/** Threads that pay: all of few cores, half of many, of which half are seldom real. */
export function usefulThreads(cores = navigator.hardwareConcurrency ?? 1): number {
  return cores <= 4 ? cores : Math.min(8, Math.ceil(cores / 2));
}
