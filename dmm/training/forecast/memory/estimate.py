"""How much memory of a GPU a training takes, and what to change where it is more than there is.

What rests there follows from counts of parameters and their precision; what comes and goes within
a step is measured on torch's meta device (``measure.py``). How the two compare with real steps:
``benchmarks/train_memory.py``.
"""

from dataclasses import dataclass, replace
from typing import Any

from ....checkpoints.architecture import Shapes
from ...facts import Facts
from ...presets import Resolved
from ...rules.base import Finding, in_force
from .cache import measured
from .optimizer import optimizer_bytes, optimizer_name, update_bytes
from .step import BYTES, Measured, Step, step_of

GB = 2**30
"""2^30 bytes."""
CUDA_OVERHEAD_BYTES = GB
"""CUDA's context, its libraries' work space and the allocator's gaps: assumed, not measured."""


@dataclass(frozen=True)
class MemoryEstimate:
    """GPU bytes of a training: what stays allocated, and the total at the peak of each phase."""

    unet: int
    text_encoders: int
    """Zero where their output is cached and they leave the card."""
    lora: int
    optimizer: int
    average: int
    """Of the LoRA's weights, if one is kept."""
    vae: int
    """Zero where the latents are cached; it then comes back for previews alone."""
    phases: dict[str, int]
    """All bytes at the worst moment of each phase, CUDA's own not among them."""
    notes: tuple[str, ...] = ()
    """What is not known, one sentence each."""

    @property
    def resting(self) -> int:
        """Bytes between two steps."""
        parts = (self.unet, self.text_encoders, self.lora, self.optimizer, self.average, self.vae)
        return sum(parts)

    @property
    def worst_phase(self) -> str:
        """The phase that takes most."""
        return max(self.phases, key=lambda name: self.phases[name])

    @property
    def allocated(self) -> int:
        """Bytes of tensors at the worst moment of all."""
        return max(self.phases.values())

    @property
    def total(self) -> int:
        """Bytes of the card at the worst moment, CUDA's own included."""
        return self.allocated + CUDA_OVERHEAD_BYTES


def estimate_memory(settings: Resolved, facts: Facts, shapes: Shapes) -> MemoryEstimate:
    """The GPU memory of a training; ``facts.dataset`` must be known.

    Seconds on the first call, because a step is measured; results are kept.
    """
    step = step_of(settings, facts, shapes)
    found = measured(step)
    lora = found.lora_parameters * BYTES[step.lora_dtype]
    name = optimizer_name(settings)
    state = optimizer_bytes(name, found.lora, BYTES[step.lora_dtype])
    reads = not settings["cache_text_encoder_outputs"] or step.trains_text
    vae = found.vae * BYTES[step.vae_dtype]
    resting = MemoryEstimate(
        unet=found.unet * BYTES[step.unet_dtype],
        text_encoders=found.text * BYTES[step.text_dtype] if reads else 0,
        lora=lora,
        optimizer=state or 0,
        average=found.lora_parameters * 4 if settings["ema_decay"] else 0,
        vae=0 if settings["cache_latents"] else vae,
        phases={},
        notes=tuple(_notes(settings, name, state)),
    )
    update = lora + update_bytes(name, found.lora, BYTES[step.lora_dtype])
    return replace(resting, phases=_phases(settings, step, found, resting, vae, update))


def _phases(
    settings: Resolved, step: Step, found: Measured, resting: MemoryEstimate, vae: int, update: int
) -> dict[str, int]:
    phases = {
        "a step": resting.resting + found.step,
        "an update of the weights": resting.resting + update,
    }
    if settings["cache_latents"]:
        phases["caching latents"] = vae + found.encoding
    else:
        phases["encoding clips"] = resting.resting + found.encoding
    if settings["preview_every_n_steps"]:
        comes_back = vae if settings["cache_latents"] else 0
        set_aside = resting.lora if settings["ema_decay"] else 0
        # decoding one picture takes more than drawing a batch of four, at every size of ours
        phases["a preview"] = resting.resting + comes_back + set_aside + found.decoding
    return phases


def _notes(settings: Resolved, optimizer: str, state: int | None) -> list[str]:
    notes = []
    if state is None:
        notes.append(f"what {optimizer} remembers is not known and not counted")
    if settings["network_module"] != "networks.lora":
        notes.append(f"{settings['network_module']} is counted as networks.lora of the same rank")
    if any("block" in argument for argument in settings["network_args"] or ()):
        notes.append("ranks by block are not counted: network_dim holds for all")
    return notes


REMEDIES: tuple[dict[str, Any], ...] = (
    {"gradient_checkpointing": True},
    {"cache_latents": True},
    {"train_batch_size": 1},
    {"preview_every_n_steps": None},
    {"network_train_unet_only": True},
    {"cache_text_encoder_outputs": True, "dataset_shuffle": False},
)
"""What takes less memory, the cheapest first; a step sees as many clips as before."""


def gpu_bytes() -> int | None:
    """MemoryEstimate of the first GPU here; None without one."""
    import torch

    return torch.cuda.get_device_properties(0).total_memory if torch.cuda.is_available() else None


def memory_warning(
    settings: Resolved, facts: Facts, shapes: Shapes, needed: MemoryEstimate, gpu: int
) -> Finding | None:
    """A warning, with what to change, if a card of so many bytes is too small; else None."""
    if needed.total <= gpu:
        return None
    changed, stated, less = settings, [], needed
    for remedy in 2 * REMEDIES:  # one may only help after a later one has
        tried, words = _with_remedy(changed, facts, remedy)
        then = estimate_memory(tried, facts, shapes) if words and less.total > gpu else less
        if then.total < less.total:
            changed, less = tried, then
            stated += words
    size = f"{readable_size(needed.total)} at its worst moment ({needed.worst_phase})"
    remedy = (
        f"with {' '.join(f'--set {word}' for word in stated)} it takes {readable_size(less.total)}"
    )
    if not stated:
        remedy = "nothing that is known here takes less; take smaller images or a smaller base"
    elif less.total > gpu:
        remedy += ", still too much; take smaller images, a lower network_dim or a smaller base"
    message = f"training takes about {size} and the card has {readable_size(gpu)}: {remedy}"
    return Finding("too-much-memory", "warning", message)


def _with_remedy(
    settings: Resolved, facts: Facts, remedy: dict[str, Any]
) -> tuple[Resolved, list[str]]:
    """Settings with a remedy, and it in words of ``--set``; no words if it is in force already."""
    if "cache_text_encoder_outputs" in remedy and facts.architecture != "sdxl":
        return settings, []
    if "train_batch_size" in remedy:
        batch = in_force(settings, facts, "train_batch_size")
        steps = batch * settings["gradient_accumulation_steps"]
        remedy = {**remedy, "gradient_accumulation_steps": steps}
    changes = {key: value for key, value in remedy.items() if settings[key] != value}
    stated = {k: v for k, v in {**settings.stated, **changes}.items() if v is not None}
    return replace(settings, stated=stated), [f"{k}={_word(v)}" for k, v in changes.items()]


def _word(value: Any) -> str:
    return "" if value is None else str(value).lower()


def readable_size(size: int) -> str:
    """Bytes in gigabytes of 2^30, or megabytes of 2^20 where that is too coarse.

    >>> readable_size(25769803776), readable_size(5000000)
    ('24.0 GB', '5 MB')
    """
    return f"{size / GB:.1f} GB" if size >= GB / 10 else f"{size / 2**20:.0f} MB"
