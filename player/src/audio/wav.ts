/** WAV files: 16-bit PCM behind the canonical header of 44 bytes. */

import { toInt16 } from "./pcm";

const HEADER = 44;
const PCM = 1;

export function wavFile(sound: readonly Float32Array[], sr: number): Uint8Array<ArrayBuffer> {
  const pcm = toInt16(sound);
  const file = new Uint8Array(HEADER + pcm.byteLength);
  const view = new DataView(file.buffer);
  const text = (at: number, letters: string) => file.set(new TextEncoder().encode(letters), at);
  const frameBytes = 2 * sound.length;
  text(0, "RIFF");
  view.setUint32(4, file.length - 8, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, PCM, true);
  view.setUint16(22, sound.length, true);
  view.setUint32(24, sr, true);
  view.setUint32(28, sr * frameBytes, true);
  view.setUint16(32, frameBytes, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, pcm.byteLength, true);
  for (let i = 0; i < pcm.length; i++) view.setInt16(HEADER + 2 * i, pcm[i], true);
  return file;
}
