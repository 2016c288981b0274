/** Mel formats: the parameters in `mel.json`, equal to `MelFormat` of dmm/codec/mel.py. */

export interface MelFormat {
  name: string;
  version: number;
  /** Sampling rate, Hz. */
  sr: number;
  /** Samples per image column. */
  hop_length: number;
  /** Hann window, samples. */
  win_length: number;
  n_fft: number;
  /** Image rows. */
  n_mels: number;
  /** Image columns of one clip. */
  n_frames: number;
  fmin: number;
  fmax: number;
  mel_scale: "htk";
  /** `area`: a row is the mean under its triangle; `width`: that times its width in Hz. */
  mel_norm: "area" | "width";
  level_scale: "mulaw" | "power";
  range_db: number;
  exponent: number;
  ref: number;
  stereo: "mid-side" | "left-right";
}

const VERSION = 1;
const DEFAULTS = {
  version: VERSION,
  fmin: 0,
  mel_scale: "htk",
  mel_norm: "area",
  level_scale: "mulaw",
  range_db: 80,
  exponent: 0.25,
  ref: 1,
  stereo: "mid-side",
};
const CHOICES: Record<string, readonly string[]> = {
  mel_scale: ["htk"],
  mel_norm: ["area", "width"],
  level_scale: ["mulaw", "power"],
  stereo: ["mid-side", "left-right"],
};
const WHOLE = ["sr", "hop_length", "win_length", "n_fft", "n_mels", "n_frames"];
const NUMBERS = ["fmin", "fmax", "range_db", "exponent", "ref"];

/** Parse `mel.json`; throws an Error that names the field at fault. */
export function parseFormat(json: unknown): MelFormat {
  if (typeof json !== "object" || json === null) throw new Error("mel.json: no JSON object");
  const fields: Record<string, unknown> = { ...DEFAULTS, ...json };
  if (fields.version !== VERSION) {
    throw new Error(`mel.json: version ${fields.version}; this page reads version ${VERSION}`);
  }
  for (const [name, known] of Object.entries(CHOICES)) {
    if (!known.includes(String(fields[name]))) {
      throw new Error(`mel.json: ${name} ${fields[name]}; known: ${known.join(", ")}`);
    }
  }
  for (const name of WHOLE) {
    if (!Number.isInteger(fields[name]) || Number(fields[name]) < 1) {
      throw new Error(`mel.json: ${name} ${fields[name]} is no positive whole number`);
    }
  }
  for (const name of NUMBERS) {
    if (!Number.isFinite(fields[name])) {
      throw new Error(`mel.json: ${name} ${fields[name]} is no number`);
    }
  }
  return fields as unknown as MelFormat;
}

/** Bins of the FFT up to half the sampling rate. */
export const binCount = (fmt: MelFormat): number => fmt.n_fft / 2 + 1;

/** Image columns a second. */
export const frameRate = (fmt: MelFormat): number => fmt.sr / fmt.hop_length;

/** Length of one clip, seconds. */
export const clipSeconds = (fmt: MelFormat): number => fmt.n_frames / frameRate(fmt);
