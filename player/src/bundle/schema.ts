/** `bundle.json`: a model for the player, as dmm/bundles/schema.py writes it. */

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { UserError } from "../errors";
import type { Schedule } from "../sampling/noise-schedule";
import { PREDICTION_TYPES, type PredictionType } from "../sampling/sampler";
import { SAMPLER_NAMES } from "../sampling/samplers";
import type { EncoderTokens } from "../text/tokenizer";

export const VERSION = 1;
export const MANIFEST = "bundle.json";

export interface StoredFile {
  /** Path within the bundle, with forward slashes. */
  file: string;
  bytes: number;
  sha256: string;
}

export interface TensorShape {
  dtype: "float32" | "int32";
  /** A name is an axis of any length. */
  shape: (number | string)[];
}

export type Precision = "fp32" | "fp16" | "mixed" | "int8" | "int4";

export interface Part {
  model: StoredFile;
  data: StoredFile[];
  precision: Precision;
  inputs: Record<string, TensorShape>;
  outputs: Record<string, TensorShape>;
  memory: {
    wasm_peak_bytes: number;
    webgpu_peak_bytes: number;
    largest_tensor_bytes: number;
  } | null;
}

export type PartName = "text_encoder" | "text_encoder_2" | "unet" | "vae_decoder";

export interface SamplingDefaults {
  sampler: string;
  steps: number;
  guidance: number;
  negative_prompt: string;
  prediction_type: PredictionType;
  schedule: Schedule;
}

export interface Bundle {
  version: number;
  name: string;
  architecture: string;
  parts: Record<"text_encoder" | "unet" | "vae_decoder", Part> & { text_encoder_2?: Part };
  tokenizer: { merges: StoredFile; encoders: EncoderTokens[] };
  sampling: SamplingDefaults;
  latent: {
    channels: number;
    rows: number;
    columns: number;
    factor: number;
    multiple?: number;
  };
  anchor: string;
  stereo: boolean;
  format: StoredFile;
  prompts: string[];
  licences: { base: string; loras: string[]; music: string[] };
}

/** A bundle and the SHA-256 of its `bundle.json`, by which links name it. */
export interface NamedBundle {
  id: string;
  bundle: Bundle;
}

const SHA256 = /^[0-9a-f]{64}$/;
const SAFE_PATH = /^(?!\/)(?!.*(^|\/)\.\.?(\/|$))[\w.\-/]+$/;
const REQUIRED = ["text_encoder", "unet", "vae_decoder"];

/** Parse `bundle.json`; UserError for what is no bundle, a newer one, or one that is damaged. */
export function parseBundle(text: string): NamedBundle {
  let bundle: Bundle;
  try {
    bundle = JSON.parse(text);
  } catch {
    throw new UserError("This is no model for the player: its bundle.json is not valid JSON.");
  }
  if (typeof bundle !== "object" || bundle === null || !Number.isInteger(bundle.version)) {
    throw new UserError("This is no model for the player: its bundle.json names no version.");
  }
  if (bundle.version > VERSION) {
    throw new UserError(
      `This model is of bundle version ${bundle.version}, and this page reads version ${VERSION}; use a newer page.`,
    );
  }
  const fault = firstFault(bundle);
  if (fault) {
    throw new UserError(
      `The model's bundle.json is damaged: ${fault}. Export or download it again.`,
    );
  }
  return { id: bytesToHex(sha256(new TextEncoder().encode(text))), bundle };
}

function firstFault(bundle: Bundle): string | undefined {
  for (const name of REQUIRED) {
    if (!bundle.parts?.[name as "unet"]?.model) return `it has no part ${name}`;
  }
  for (const field of ["tokenizer", "sampling", "latent", "format", "licences"] as const) {
    if (typeof bundle[field] !== "object" || bundle[field] === null) return `it has no ${field}`;
  }
  for (const file of bundleFiles(bundle)) {
    if (!SAFE_PATH.test(file?.file ?? "")) return `a file is called "${file?.file}"`;
    if (!Number.isSafeInteger(file.bytes) || file.bytes < 0) return `${file.file} has no size`;
    if (!SHA256.test(file.sha256)) return `${file.file} has no SHA-256`;
  }
  const { sampler, steps, guidance, prediction_type } = bundle.sampling;
  if (!SAMPLER_NAMES.includes(sampler)) {
    return `its sampler "${sampler}" is not among ${SAMPLER_NAMES.join(", ")}`;
  }
  if (!Number.isInteger(steps) || steps < 1) return `it takes ${steps} steps`;
  if (!Number.isFinite(guidance)) return `its guidance is ${guidance}`;
  if (!PREDICTION_TYPES.includes(prediction_type)) {
    return `it predicts "${prediction_type}"`;
  }
  const { channels, rows, columns, factor } = bundle.latent;
  if (![channels, rows, columns, factor].every((n) => Number.isInteger(n) && n > 0)) {
    return "its latent has no size";
  }
  return undefined;
}

/** Every file but `bundle.json`, each content once. */
export function bundleFiles({ parts, tokenizer, format }: Bundle): StoredFile[] {
  const all = Object.values(parts).flatMap((part) => [part.model, ...part.data]);
  const files = [format, tokenizer.merges, ...all];
  return [...new Map(files.map((file) => [file?.sha256, file])).values()];
}

export const bundleBytes = (bundle: Bundle): number =>
  bundleFiles(bundle).reduce((sum, { bytes }) => sum + bytes, 0);

/** Bytes of a part's files. */
export const storedBytes = ({ model, data }: Part): number =>
  data.reduce((sum, { bytes }) => sum + bytes, model.bytes);

/** Parts in the order in which they run. */
export function partsOf({ parts }: Bundle): [PartName, Part][] {
  const order: PartName[] = ["text_encoder", "text_encoder_2", "unet", "vae_decoder"];
  return order.flatMap((name) => {
    const part = parts[name];
    return part ? [[name, part] as [PartName, Part]] : [];
  });
}
