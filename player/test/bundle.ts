/** A `bundle.json` as the exporter writes it, of a model that is not there. */

import { createHash } from "node:crypto";

const file = (name: string, bytes = 1000) => ({
  file: name,
  bytes,
  sha256: createHash("sha256").update(name).digest("hex"),
});

const part = (name: string, bytes: number) => ({
  model: file(`${name}.onnx`),
  data: [file(`${name}.onnx.data-00000`, bytes)],
  precision: "fp32",
  opset: 20,
  inputs: { x: { dtype: "float32", shape: ["batch", 77] } },
  outputs: { y: { dtype: "float32", shape: ["batch", 77] } },
  memory: null,
});

/** The parsed JSON; `change` replaces fields. */
export function bundle(change: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    version: 1,
    name: "test",
    architecture: "sdxl",
    parts: {
      text_encoder: part("text_encoder", 2e6),
      text_encoder_2: part("text_encoder_2", 3e6),
      unet: part("unet", 26e6),
      vae_decoder: part("vae_decoder", 4e6),
    },
    tokenizer: {
      merges: file("tokenizer/merges.txt"),
      encoders: [
        { vocab_size: 1024, bos: 1022, eos: 1023, pad: 1023, max_length: 77 },
        { vocab_size: 1024, bos: 1022, eos: 1023, pad: 0, max_length: 77 },
      ],
    },
    sampling: {
      sampler: "dpm++-2m-karras",
      steps: 25,
      guidance: 5,
      negative_prompt: "",
      prediction_type: "v_prediction",
      schedule: {
        train_timesteps: 1000,
        beta_start: 0.00085,
        beta_end: 0.012,
        beta_schedule: "scaled_linear",
        timestep_spacing: "leading",
        steps_offset: 1,
        rescale_betas_zero_snr: false,
      },
    },
    latent: { channels: 8, rows: 32, columns: 32, factor: 8, scaling_factor: 0.5, multiple: 4 },
    anchor: "",
    stereo: false,
    format: file("mel.json"),
    prompts: ["piano"],
    licences: { base: "Apache-2.0", loras: [], music: [] },
    ...change,
  };
}
