/** Real FFT in WebAssembly: pffft, lengths 2^a 3^b 5^c that are multiples of 32. */

import createModule from "@echogarden/pffft-wasm/simd";
import wasmUrl from "../../node_modules/@echogarden/pffft-wasm/dist/simd/pffft.wasm?url";

const FORWARD = 0;
const BACKWARD = 1;
const BYTES = 4;
const REAL = 0;

type Module = Awaited<ReturnType<typeof createModule>>;
let loading: Promise<Module> | undefined;

/** A transform of one length. Spectra are interleaved: real 0, imaginary 0, real 1, ... (n + 2). */
export interface RealFft {
  n: number;
  /** The n samples that `forward` reads and `inverse` writes; get it again after every `await`. */
  readonly time: Float32Array;
  /** Transform `time`, unscaled, into `spectrum`. */
  forward(spectrum: Float32Array): void;
  /** Transform `spectrum` into n times `time`; imaginary parts of the first and last are ignored. */
  inverse(spectrum: Float32Array): void;
}

export async function realFft(n: number): Promise<RealFft> {
  loading ??= load();
  const module = await loading;
  const setup = n % 32 ? 0 : module._pffft_new_setup(n, REAL);
  if (!setup) {
    throw new Error(`FFT length ${n}: a multiple of 32 with no prime factor over 5 is needed`);
  }
  const [time, packed, work] = [0, 0, 0].map(() => module._pffft_aligned_malloc(n * BYTES));
  const view = (address: number) => module.HEAPF32.subarray(address / BYTES, address / BYTES + n);
  return {
    n,
    get time() {
      return view(time); // the memory moves when it grows
    },
    forward(spectrum) {
      module._pffft_transform_ordered(setup, time, packed, work, FORWARD);
      spectrum.set(view(packed));
      spectrum[n] = spectrum[1]; // pffft puts the value at half the sampling rate there
      spectrum[1] = spectrum[n + 1] = 0;
    },
    inverse(spectrum) {
      const heap = view(packed);
      heap.set(spectrum.subarray(0, n));
      heap[1] = spectrum[n];
      module._pffft_transform_ordered(setup, packed, time, work, BACKWARD);
    },
  };
}

function load(): Promise<Module> {
  const isBrowser = "location" in globalThis;
  return createModule(isBrowser ? { locateFile: () => wasmUrl } : {});
}
