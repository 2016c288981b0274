/** A loaded part of a model: on WebGPU where that works, else in WebAssembly. */

import type { InferenceSession, Tensor } from "onnxruntime-common";
import type { Part, PartName } from "../bundle/schema";
import { needFile } from "../bundle/store";
import type { Fallback, Machine } from "../workers/calls";
import { type Backend, detectGpu, loadRuntime, type Runtime } from "./runtime";
import { openWeights } from "./weights";

export type Feeds = Record<string, { data: Float32Array | Int32Array; dims: number[] }>;
type OnFallback = (fallback: Fallback) => void;

/** One part's session; a run that fails on WebGPU is done again in WebAssembly, which then stays. */
export class PartSession {
  #session: InferenceSession | undefined;

  private constructor(
    readonly name: PartName,
    readonly part: Part,
    readonly runtime: Runtime,
    public backend: Backend,
    readonly onFallback: OnFallback,
  ) {}

  /** Load a part on the best backend; UserError if its files have gone. */
  static async open(
    name: PartName,
    part: Part,
    machine: Machine,
    onFallback: OnFallback,
  ): Promise<PartSession> {
    const runtime = await loadRuntime(machine.backend, machine.threads);
    const session = new PartSession(name, part, runtime, machine.backend, onFallback);
    const obstacle = machine.backend === "webgpu" ? await webgpuObstacle(part) : "";
    if (obstacle) session.#fallBack(obstacle);
    await session.#create();
    return session;
  }

  /** Batches have a fixed size where the axis is no name. */
  get batch(): number | undefined {
    const [first] = Object.values(this.part.inputs);
    return typeof first.shape[0] === "number" ? first.shape[0] : undefined;
  }

  async run(feeds: Feeds): Promise<Record<string, Float32Array>> {
    try {
      return await this.#run(feeds);
    } catch (error) {
      if (this.backend === "wasm") throw error;
      this.#fallBack(reasonOf(error));
      await this.#create();
      return this.#run(feeds);
    }
  }

  async release(): Promise<void> {
    await this.#session?.release();
    this.#session = undefined;
  }

  async #run(feeds: Feeds): Promise<Record<string, Float32Array>> {
    const { Tensor } = this.runtime;
    const tensors: Record<string, Tensor> = {};
    for (const [name, { data, dims }] of Object.entries(feeds)) {
      if (!(name in this.part.inputs)) continue;
      tensors[name] =
        data instanceof Int32Array
          ? new Tensor("int32", data, dims)
          : new Tensor("float32", data, dims);
    }
    const results = await (this.#session as InferenceSession).run(tensors);
    const found: Record<string, Float32Array> = {};
    for (const [name, tensor] of Object.entries(results)) {
      found[name] = (await tensor.getData()) as Float32Array;
    }
    return found;
  }

  async #create(): Promise<void> {
    try {
      this.#session = await this.#open();
    } catch (error) {
      if (this.backend === "wasm") throw error;
      this.#fallBack(reasonOf(error));
      this.#session = await this.#open();
    }
  }

  async #open(): Promise<InferenceSession> {
    const { model, data } = this.part;
    const file = await needFile(model.sha256, model.bytes, model.file);
    const graph = new Uint8Array(await file.arrayBuffer());
    const weights = await Promise.all(data.map(openWeights));
    try {
      return await this.runtime.InferenceSession.create(graph, {
        executionProviders: [this.backend],
        externalData: weights.map((each, i) => ({
          path: baseName(data[i].file),
          data: each.data,
        })),
        graphOptimizationLevel: "all",
      });
    } finally {
      for (const each of weights) each.close();
    }
  }

  #fallBack(reason: string): void {
    void this.#session?.release().catch(() => undefined); // its device may be gone
    this.backend = "wasm";
    this.onFallback({ part: this.name, reason });
  }
}

const baseName = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

const reasonOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split("\n")[0].slice(0, 160);

/** Why a part cannot run on WebGPU here; empty if it can. */
async function webgpuObstacle(part: Part): Promise<string> {
  const { halfPrecision } = await detectGpu();
  if (["fp16", "mixed"].includes(part.precision) && !halfPrecision) {
    return "this graphics card has no half-precision shaders";
  }
  return "";
}
