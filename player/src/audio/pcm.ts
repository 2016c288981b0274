/** Samples in -1..1 to 16-bit integers. */

/** Channels interleaved, rounded to nearest and cut at full scale. */
export function toInt16(sound: readonly Float32Array[]): Int16Array<ArrayBuffer> {
  const channels = sound.length;
  const pcm = new Int16Array(channels * sound[0].length);
  for (const [channel, samples] of sound.entries()) {
    for (let i = 0; i < samples.length; i++) {
      const value = Math.round(samples[i] * 32767);
      pcm[i * channels + channel] = Math.max(-32768, Math.min(32767, value));
    }
  }
  return pcm;
}
