/** Image values 0..255 to mel magnitudes and back (`from_level`, `to_level` of dmm/codec/mel.py). */

import { corners } from "./filterbank";
import type { MelFormat } from "./format";

/** Magnitude of each image value, as a share of the loud end. */
export function levelTable(fmt: MelFormat): Float32Array {
  const mu = 10 ** (fmt.range_db / 20);
  return Float32Array.from({ length: 256 }, (_, level) => {
    const value = level / 255;
    if (fmt.level_scale === "power") return (1 - value) ** (1 / fmt.exponent);
    return Math.expm1(value * Math.log1p(mu)) / mu;
  });
}

/** Mean magnitude at the loud end of the scale, of each row. */
export function rowRef(fmt: MelFormat): Float32Array {
  const edges = corners(fmt);
  return Float32Array.from({ length: fmt.n_mels }, (_, row) =>
    fmt.mel_norm === "area" ? fmt.ref : (2 * fmt.ref) / (edges[row + 2] - edges[row]),
  );
}

/** Decoder of one format: levels, frame by frame, to magnitudes of the same layout. */
export function levelDecoder(fmt: MelFormat): (levels: Uint8Array) => Float32Array {
  const table = levelTable(fmt);
  const ref = rowRef(fmt);
  const rows = fmt.n_mels;
  return (levels) => {
    const magnitude = new Float32Array(levels.length);
    for (let at = 0; at < levels.length; at += rows) {
      for (let row = 0; row < rows; row++) magnitude[at + row] = table[levels[at + row]] * ref[row];
    }
    return magnitude;
  };
}

/** Encoder of one format: magnitudes, frame by frame, to levels rounded to nearest. */
export function levelEncoder(fmt: MelFormat): (magnitude: Float32Array) => Uint8Array {
  const ref = rowRef(fmt);
  const rows = fmt.n_mels;
  const mu = 10 ** (fmt.range_db / 20);
  const toValue =
    fmt.level_scale === "power"
      ? (share: number) => 255 - 255 * Math.min(share, 1) ** fmt.exponent
      : (share: number) => Math.min((Math.log1p(share * mu) * 255) / Math.log1p(mu), 255);
  return (magnitude) => {
    const levels = new Uint8Array(magnitude.length);
    for (let at = 0; at < levels.length; at += rows) {
      for (let row = 0; row < rows; row++) {
        levels[at + row] = Math.round(toValue(magnitude[at + row] / ref[row]));
      }
    }
    return levels;
  };
}
