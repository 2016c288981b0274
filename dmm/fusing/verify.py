"""Whether a fused checkpoint draws what its base draws with the LoRAs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from ..architecture import read_architecture
from ..errors import ModelError
from ..generate import embed_at
from ..header import read_metadata
from ..lora import clip_skip
from ..mel import load_format
from ..pipeline import load_pipeline
from ..progress import progress_bar
from ..tensorfile import main_dtype, open_tensors
from .shares import Share

LIMIT = 1e-3
"""Greatest difference of pictures in 0..1 that rounding explains in single precision."""
Picture = Float[np.ndarray, "rows frames 3"]


@dataclass(frozen=True)
class Comparison:
    """How far pictures in 0..1 are apart."""

    greatest: float
    mean: float
    effect: float
    """The greatest difference that the LoRAs make, so that no comparison is empty."""
    is_exact: bool
    """Whether the fused weights are in single precision, for which LIMIT is meant."""

    def __str__(self) -> str:
        """One line for a person."""
        rounded = "" if self.is_exact else ", with weights rounded to half precision"
        return (
            f"fused against base with LoRA: at most {self.greatest:.2g} apart, {self.mean:.2g} "
            f"on average{rounded}; the LoRA itself changes the picture by {self.effect:.2g}"
        )


def verify(
    base: Path, shares: Sequence[Share], fused: Path, prompt: str, seed: int = 0, steps: int = 4
) -> Comparison:
    """Draw the same with base and LoRAs as with ``fused``, in single precision on the CPU.

    ModelError if exact weights draw pictures that differ by more than LIMIT.
    """
    metadata = read_metadata(fused)
    settings = metadata, ", ".join(filter(None, (metadata.get("dmm_anchor"), prompt))), seed, steps
    with progress_bar("verify", 3) as advance:
        pipeline = load_pipeline(base)
        plain = _draw(pipeline, base, *settings)
        advance()
        for number, share in enumerate(shares):
            pipeline.load_lora_weights(
                str(share.lora.parent), weight_name=share.lora.name, adapter_name=f"lora{number}",
                local_files_only=True,
            )  # fmt: skip
        pipeline.set_adapters(
            [f"lora{number}" for number in range(len(shares))], [share.ratio for share in shares]
        )
        expected = _draw(pipeline, base, *settings)
        advance()
        del pipeline  # one model in memory at a time
        apart = np.abs(_draw(load_pipeline(fused), fused, *settings) - expected)
        advance()
    with open_tensors(fused) as file:
        is_exact = main_dtype(file) == torch.float32
    effect = float(np.abs(expected - plain).max())
    found = Comparison(float(apart.max()), float(apart.mean()), effect, is_exact)
    if is_exact and found.greatest > LIMIT:
        raise ModelError(f"{fused}: {found}; more than {LIMIT:g}, do not use it")
    return found


def _draw(
    pipeline: Any, model: Path, metadata: dict[str, str], prompt: str, seed: int, steps: int
) -> Picture:
    pipeline.set_progress_bar_config(disable=True)
    fmt = load_format(metadata.get("dmm_format", "sdxl-512"))
    layer = clip_skip(metadata, read_architecture(model))
    text: dict[str, Any] = {"prompt": prompt, "guidance_scale": 1.0}
    if layer:
        text = {"prompt_embeds": embed_at(pipeline, [prompt], layer), "guidance_scale": 1.0}
    (picture,) = pipeline(
        **text,
        num_inference_steps=steps,
        generator=torch.Generator().manual_seed(seed),
        height=fmt.n_mels,
        width=fmt.n_frames,
        output_type="np",
    ).images
    return picture
