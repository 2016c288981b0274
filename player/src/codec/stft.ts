/** STFT of sound in pieces (`stream_stft` of dmm/codec/framing.py). */

import type { RealFft } from "./fft";
import type { MelFormat } from "./format";
import { BLOCK, concat, hann } from "./framing";

/** Spectra, interleaved, `BLOCK` frames at a time, the last may be fewer. */
export async function* streamStft(
  pieces: AsyncIterable<Float32Array>,
  fmt: MelFormat,
  fft: RealFft,
): AsyncGenerator<Float32Array> {
  const { n_fft, hop_length } = fmt;
  const left = Math.floor((n_fft - hop_length) / 2);
  const analyse = analyser(fmt, fft);
  let held = new Float32Array(left);
  let spectra: Float32Array[] = [];
  async function* padded(): AsyncGenerator<Float32Array> {
    yield* pieces;
    yield new Float32Array(n_fft - hop_length - left);
  }
  for await (const piece of padded()) {
    held = concat([held, piece]);
    let at = 0;
    for (; at + n_fft <= held.length; at += hop_length) {
      spectra.push(analyse(held, at));
      if (spectra.length < BLOCK) continue;
      yield concat(spectra);
      spectra = [];
    }
    held = held.slice(at);
  }
  if (spectra.length) yield concat(spectra);
}

function analyser(
  { n_fft, win_length }: MelFormat,
  fft: RealFft,
): (sound: Float32Array, from: number) => Float32Array {
  const shape = hann(win_length);
  const left = Math.floor((n_fft - win_length) / 2);
  return (sound, from) => {
    const { time } = fft;
    time.fill(0);
    for (let i = 0; i < win_length; i++) time[left + i] = sound[from + left + i] * shape[i];
    const spectrum = new Float32Array(n_fft + 2);
    fft.forward(spectrum);
    return spectrum;
  };
}
