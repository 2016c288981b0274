"""Make clips from prompts: diffusers draws mel images, the codec turns them into sound.

Every clip has a seed of its own. CLIPS contract: ``ID.png``, ``ID.flac`` and ``ID.json`` for each;
a clip that is there already with the same settings is not made again, so an interrupted run goes on
where it stopped. The parts are in ``dmm.generation``.
"""

from collections.abc import Sequence
from pathlib import Path

from .clips import make_clips
from .loading import Lora
from .making import Order
from .recipe import make_recipe
from .requests import requests
from .sampling import Sampling


def generate(
    prompts: Sequence[str],
    model: Path,
    out: Path,
    lora: Path | None = None,
    count: int = 1,
    seed: int = 0,
    format_name: str | None = None,
    sampling: Sampling | None = None,
    anchor: str | None = None,
    batch_size: int = 4,
    device: str = "auto",
) -> list[Path]:
    """Make ``count`` clips of every prompt; returns the FLAC files, those made before included.

    ``anchor`` goes in front of every prompt; None takes the one that the LoRA was trained with, or
    that was fused into the model. The format is the one that the LoRA was trained with, else the
    model's own, where their metadata names one, else ``sdxl-512``. Deterministic by seed on one
    device. ModelError for a checkpoint that is neither SD 1.5 nor SDXL, and for a LoRA of another
    base.
    """
    loras = (Lora(lora),) if lora else ()
    recipe = make_recipe(model, loras, sampling, format_name, anchor)
    order = Order(model, recipe, out, loras, device, batch_size=batch_size)
    return make_clips(requests(prompts, count, seed), order)
