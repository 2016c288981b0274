"""A checkpoint with LoRAs on one device, loaded when first needed, that generates mel images."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from ..checkpoints.lora import check_lora
from ..choices import Offload, Precision
from ..codec.mel import MelFormat
from ..devices import pick_device, pick_precision
from ..errors import ModelError
from ..model_cards import sha256_of
from .callbacks import OnStep, ignore_step
from .denoising import Latents, Predict, predict
from .exact_batching import BatchInvariantUNet
from .image_model import GeneratedImage
from .loading import Lora, open_pipeline
from .mel_images import decode_images, generate_latents
from .prompts import truncation_notes_for_checkpoint
from .requests import ClipRequest
from .sampling import Sampling
from .settings import GenerationSettings, other_format_note, resolve_settings


@dataclass(frozen=True)
class LoadedModel:
    """A checkpoint with LoRAs on one device; its weights are loaded at first use and kept.

    Pickles without the weights, so a Ray worker loads its own. ModelError for a LoRA of another
    base.
    """

    path: Path
    loras: tuple[Lora, ...] = ()
    device: str = "auto"
    """``auto`` is resolved at once, so this names a device afterwards."""
    precision: Precision = "auto"
    """Resolved likewise."""
    offload: Offload = "none"

    def __post_init__(self) -> None:
        """Resolve ``auto`` and compare the LoRAs' layers with the checkpoint's."""
        if self.device == "auto":
            object.__setattr__(self, "device", pick_device("auto"))
        object.__setattr__(self, "precision", pick_precision(self.precision, self.device))
        for lora in self.loras:
            check_lora(lora.path, self.path)

    def __reduce__(self) -> tuple[Any, ...]:
        return LoadedModel, (self.path, self.loras, self.device, self.precision, self.offload)

    def identify(self) -> dict[str, Any]:
        """The model's part of a clip's JSON file."""
        loras = [{"sha256": sha256_of(lora.path), "weight": lora.weight} for lora in self.loras]
        return {
            "model_sha256": sha256_of(self.path),
            "loras": loras,
            "precision": self.precision,
        }

    def other_format_note(self, fmt: MelFormat) -> str | None:
        """Note on a LoRA of another mel format; on the model if no LoRA states one."""
        return other_format_note(fmt, self.path, self.loras)

    @property
    def lora_names(self) -> list[str]:
        """Names of the LoRAs for people; a RUN's ``lora.safetensors`` has its folder's name."""
        return [f"{lora.path.resolve().parent.name}/{lora.path.stem}" for lora in self.loras]

    @cached_property
    def pipeline(self) -> Any:
        """The diffusers pipeline."""
        return open_pipeline(self.path, self.loras, self.device, self.precision, self.offload)

    @cached_property
    def predict(self) -> Predict:
        """The UNet's guided prediction; on a CPU it is the same bits in any batch."""
        return BatchInvariantUNet(self.pipeline) if self.device == "cpu" else predict

    @cached_property
    def in_full_precision(self) -> "LoadedModel":
        """The same model in fp32; on a GPU layer by layer, since this one stays there too."""
        offload = "none" if self.device == "cpu" else "sequential"
        return replace(self, precision="fp32", offload=offload)

    def settings(
        self,
        sampling: Sampling | None = None,
        format_name: str | None = None,
        anchor: str | None = None,
        stereo: bool | None = None,
    ) -> GenerationSettings:
        """``resolve_settings`` for this checkpoint and its LoRAs."""
        return resolve_settings(self.path, self.loras, sampling, format_name, anchor, stereo)

    def generate_images(
        self,
        batch: Sequence[ClipRequest],
        settings: GenerationSettings,
        on_step: OnStep = ignore_step,
    ) -> list[GeneratedImage]:
        """One image a request, the same in any batch; on a GPU up to rounding.

        A clip that overflows in half precision is generated again in full precision. ModelError if
        that overflows too.
        """
        latents = generate_latents(self.pipeline, batch, settings, on_step, self.predict)
        overflowed = _rows_not_finite(latents)
        if self.precision != "fp32":
            for number in overflowed:  # one by one, so that a batch changes nothing here either
                pipeline, request = self.in_full_precision.pipeline, batch[number]
                latents[number] = generate_latents(pipeline, [request], settings, on_step)[0]
        if broken := _rows_not_finite(latents):
            raise ModelError(
                f"{batch[broken[0]].clip_id}: NaN even in full precision: a LoRA has diverged or "
                "is too strong, or the weights are damaged"
            )
        images = decode_images(self.pipeline, latents, settings)
        return [GeneratedImage(x, number in overflowed) for number, x in enumerate(images)]

    def truncation_notes(self, texts: Iterable[str]) -> Iterator[str]:
        """One line for each distinct text that CLIP truncates, with the words cut off."""
        return truncation_notes_for_checkpoint(self.path, texts)


def _rows_not_finite(latents: Latents) -> list[int]:
    """Indices of rows with NaN or infinity."""
    finite = torch.isfinite(latents).flatten(1).all(1)
    return (~finite).nonzero().flatten().tolist()
