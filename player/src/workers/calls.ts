/** The calls of each worker: arguments, events and results. */

import type { NamedBundle, PartName } from "../bundle/schema";
import type { BundleSource } from "../bundle/sources";
import type { Quality } from "../codec/decode";
import type { MelFormat } from "../codec/format";
import type { MelImage } from "../codec/mel-image";
import type { Sound } from "../codec/mid-side";
import type { Conditions } from "../engine/conditions";
import type { Backend } from "../engine/runtime";
import type { Settings } from "../engine/settings";
import type { Windows } from "../songs/windows";

export interface InstallProgress {
  done: number;
  total: number;
  /** The connection was lost and is being tried again, or another tab gets a model first. */
  waiting: "" | "connection" | "tab";
}

export type DownloadCalls = {
  install: { args: BundleSource; event: InstallProgress; result: NamedBundle };
  remove: { args: string; event: never; result: undefined };
};

export interface Machine {
  backend: Backend;
  threads: number;
}

export interface TextRequest {
  model: NamedBundle;
  texts: string[];
  machine: Machine;
}

export interface TextEmbedding {
  /** (77, width) of all encoders side by side. */
  context: Float32Array;
  /** The whole text in one vector; empty where the UNet takes none. */
  pooled: Float32Array;
  /** The words that were not read. */
  unread: string[];
}

export type TextCalls = {
  encode: { args: TextRequest; event: Fallback; result: TextEmbedding[] };
};

/** A part that goes on in WebAssembly, and why. */
export interface Fallback {
  part: PartName;
  reason: string;
}

export interface DiffusionRequest {
  seed: number;
  settings: Settings;
  /** One for each window. */
  conditions: Conditions[];
  windows: Windows;
  /** Noise as of `dmm song`, which begins the same for every length. */
  long: boolean;
  loop: boolean;
}

export type DiffusionEvent =
  | { kind: "step"; done: number; total: number; denoised: Float32Array }
  | { kind: "columns"; image: MelImage }
  | { kind: "fallback"; fallback: Fallback };

export type DiffusionCalls = {
  load: {
    args: { model: NamedBundle; machine: Machine };
    event: Fallback;
    /** Where each part runs. */
    result: Partial<Record<PartName, Backend>>;
  };
  generate: { args: DiffusionRequest; event: DiffusionEvent; result: undefined };
};

export type AudioCalls = {
  /** Begin an image whose columns are still to come, or replace the one under way. */
  begin: {
    args: { fmt: MelFormat; quality: Quality; loop: boolean; samples: number };
    event: Sound;
    result: undefined;
  };
  columns: { args: MelImage; event: never; result: undefined };
  end: { args: undefined; event: never; result: undefined };
};
