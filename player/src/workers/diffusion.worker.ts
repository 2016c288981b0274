/** Holds a model's UNet and decoder, and generates mel images. */

import type { Bundle, PartName } from "../bundle/schema";
import { Decoder } from "../engine/decoder";
import type { Backend } from "../engine/runtime";
import { sampleLatents } from "../engine/sampling";
import { PartSession } from "../engine/session";
import { Unet } from "../engine/unet";
import { UserError } from "../errors";
import type { DiffusionCalls, DiffusionEvent, Fallback } from "./calls";
import { letMessagesIn, serve } from "./rpc";

interface Loaded {
  bundle: Bundle;
  unet: PartSession;
  decoder: PartSession;
}

let loaded: Loaded | undefined;
/** Where to report parts that fall back to WebAssembly. */
let onFallback: (fallback: Fallback) => void = () => undefined;

serve<DiffusionCalls>(self, {
  async load({ model: { bundle }, machine }, { emit }) {
    onFallback = emit;
    const report = (fallback: Fallback) => onFallback(fallback);
    const unet = await PartSession.open("unet", bundle.parts.unet, machine, report);
    const decoder = await PartSession.open(
      "vae_decoder",
      bundle.parts.vae_decoder,
      machine,
      report,
    );
    loaded = { bundle, unet, decoder };
    const backends: Partial<Record<PartName, Backend>> = {
      unet: unet.backend,
      vae_decoder: decoder.backend,
    };
    return backends;
  },

  async generate(request, { emit, signal }) {
    if (!loaded) throw new Error("no model is loaded");
    const { bundle, unet, decoder } = loaded;
    onFallback = (fallback) => emit({ kind: "fallback", fallback });
    const latents = await sampleLatents(
      new Unet(unet, bundle.latent),
      request,
      async (done, total, denoised) => {
        emit({ kind: "step", done, total, denoised } satisfies DiffusionEvent, [denoised.buffer]);
        await letMessagesIn(signal);
      },
    );
    if (!latents.every(Number.isFinite)) throw new UserError(overflown(unet));
    const pictures = new Decoder(decoder, bundle.latent, bundle.stereo);
    for await (const image of pictures.decode(latents, request.windows)) {
      emit({ kind: "columns", image });
      await letMessagesIn(signal);
    }
    return undefined;
  },
});

const overflown = ({ part }: PartSession): string =>
  `The UNet's numbers overflowed (it computes in ${part.precision}); export the model again with --unet mixed or fp32, or lower the guidance.`;
