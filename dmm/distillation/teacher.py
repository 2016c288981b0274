"""The teacher: a checkpoint with LoRAs, whose weights are never changed."""

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..checkpoints.architecture import Shapes, prediction_type, read_architecture
from ..checkpoints.networks import build_unet
from ..choices import Offload
from ..files import sha256_file
from ..fitting.compute import Compute
from ..fitting.plain_attention import use_plain_attention_on_cpu
from ..fitting.state import fingerprint
from ..generation.conditioning import Conditioning, PromptEmbeddings, embed_prompts
from ..generation.denoising import predict, takes_guidance_embedding
from ..generation.loading import Lora, open_pipeline
from ..generation.settings import GenerationSettings, resolve_settings

HALF_FROM = 10**9
"""A UNet of this many weights or more is stored in bfloat16, if training computes in bfloat16."""


class Teacher:
    """A checkpoint with LoRAs on a device; its networks are loaded when first needed."""

    def __init__(
        self,
        checkpoint: Path,
        loras: Sequence[Lora],
        compute: Compute,
        offload: Offload = "none",
    ) -> None:
        """ModelError for a file that is neither SD 1.5 nor SDXL."""
        self.checkpoint, self.loras, self.compute = checkpoint, tuple(loras), compute
        self.offload: Offload = offload
        self.shapes: Shapes = read_architecture(checkpoint)
        self.settings: GenerationSettings = resolve_settings(checkpoint, loras)
        self.prediction_type = prediction_type(checkpoint)

    @cached_property
    def identity(self) -> str:
        """A hash of the checkpoint, the LoRAs, their strengths and clip skip."""
        loras = [[sha256_file(lora.path), lora.weight] for lora in self.loras]
        facts = json.dumps([sha256_file(self.checkpoint), loras, self.settings.clip_skip])
        return hashlib.sha256(facts.encode()).hexdigest()

    @cached_property
    def text_identity(self) -> str:
        """A hash of the text encoders' weights and of clip skip."""
        encoders = [getattr(self.pipeline, part) for part in self.shapes.text_configs()]
        return fingerprint(*encoders, str(self.settings.clip_skip))

    @cached_property
    def pipeline(self) -> Any:
        """The diffusers pipeline, LoRAs added, without gradients."""
        with torch.device("meta"):
            weights = sum(p.numel() for p in build_unet(self.shapes).parameters())
        is_half = weights >= HALF_FROM and self.compute.precision == "bf16"
        device, precision = str(self.compute.torch_device), "bf16" if is_half else "fp32"
        pipeline = open_pipeline(self.checkpoint, self.loras, device, precision, self.offload)
        for part in ("unet", "vae", *self.shapes.text_configs()):
            getattr(pipeline, part).requires_grad_(False).eval()
        use_plain_attention_on_cpu(pipeline.unet, self.compute.torch_device)
        return pipeline

    def merged_unet(self) -> Any:
        """A UNet with the LoRAs merged, to read weights from; it may be the teacher's own."""
        if not self.loras or self.pipeline.unet.dtype == torch.float32:
            return self.pipeline.unet
        return open_pipeline(self.checkpoint, self.loras, "cpu", "fp32").unet

    def release_networks(self) -> None:
        """Free the networks' memory; they are loaded again when needed."""
        self.__dict__.pop("pipeline", None)

    @torch.no_grad()
    def embed(self, texts: Sequence[str]) -> PromptEmbeddings:
        """Prompt embeddings of each text."""
        with self.compute.autocast():
            return embed_prompts(self.pipeline, texts, self.settings.clip_skip)

    @torch.no_grad()
    def guided_prediction(
        self,
        noisy: Float[Tensor, "n channels rows frames"],
        timesteps: Int[Tensor, " n"],
        embeddings: PromptEmbeddings,
        guidance: Float[Tensor, " n"],
    ) -> Float[Tensor, "n channels rows frames"]:
        """Predictions with classifier-free guidance, one scale a row.

        One pass instead of two if all scales are 1, or if the UNet takes the scale as an input:
        then all must be equal.
        """
        inputs = self._on_device(noisy), timesteps.to(self.compute.torch_device)
        embeddings = self._embeddings_for_unet(embeddings)
        with self.compute.autocast():
            if takes_guidance_embedding(self.pipeline.unet):
                assert (guidance == guidance[0]).all()
                return self._predict(*inputs, embeddings, float(guidance[0]))
            if (guidance == 1).all():
                return self._predict(*inputs, embeddings)
            noisy, timesteps = (torch.cat([x, x]) for x in inputs)
            both = PromptEmbeddings.concatenate(
                [embeddings, self._empty_prompt.rows([0] * len(embeddings))]
            )
            asked, empty = self._predict(noisy, timesteps, both).chunk(2)
        scale = guidance.to(asked)[:, None, None, None]
        return empty + scale * (asked - empty)

    @cached_property
    def _empty_prompt(self) -> PromptEmbeddings:
        """The empty prompt, which guidance moves away from."""
        return self._embeddings_for_unet(self.embed([""]))

    def _predict(
        self, noisy: Tensor, timesteps: Tensor, embeddings: PromptEmbeddings, guidance: float = 1.0
    ) -> Tensor:
        return predict(
            self.pipeline, noisy, timesteps, Conditioning(embeddings, embeddings, guidance)
        )

    def _on_device(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.compute.torch_device)

    def _embeddings_for_unet(self, embeddings: PromptEmbeddings) -> PromptEmbeddings:
        """The embeddings on the device, in the UNet's dtype."""
        dtype = self.pipeline.unet.dtype
        pooled = (
            None
            if embeddings.pooled is None
            else embeddings.pooled.to(self.compute.torch_device, dtype)
        )
        return PromptEmbeddings(embeddings.tokens.to(self.compute.torch_device, dtype), pooled)
