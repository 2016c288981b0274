/** The Emscripten module of @echogarden/pffft-wasm, which ships no types. */
declare module "@echogarden/pffft-wasm/simd" {
  interface Pffft {
    /** Replaced when the memory grows. */
    HEAPF32: Float32Array;
    _pffft_new_setup(n: number, kind: number): number;
    _pffft_aligned_malloc(bytes: number): number;
    _pffft_transform_ordered(
      setup: number,
      input: number,
      output: number,
      work: number,
      direction: number,
    ): void;
  }
  export default function createModule(options?: {
    locateFile?: (path: string) => string;
  }): Promise<Pffft>;
}
