"""Estimate the GPU memory of a training, and suggest changes if a GPU has too little.

Constant allocations follow from parameter counts and precision. Temporary ones within a step are
counted on torch's meta device (``count_step.py``). ``benchmarks/train_memory.py`` compares both
with real steps.
"""

from dataclasses import dataclass, replace
from typing import Any

from ....checkpoints.architecture import Shapes
from ...facts import Facts
from ...rules.base import Finding, clips_per_step
from ...rules.optimizer import optimizer_name
from ...run_settings import RunSettings
from .cache import counted_step
from .optimizer import optimizer_bytes, update_bytes
from .step import BYTES, CountedStep, TrainingStep, training_step

GB = 2**30
"""2^30 bytes."""
CUDA_OVERHEAD_BYTES = GB
"""CUDA's context, its libraries' workspace and the allocator's gaps: assumed, not measured."""


@dataclass(frozen=True)
class MemoryEstimate:
    """GPU bytes of a training: what stays allocated, and the bytes at the peak of each phase."""

    unet: int
    text_encoders: int
    """Zero if their outputs are cached and they leave the GPU."""
    lora: int
    optimizer: int
    average: int
    """Of the moving average of the LoRA's weights, if one is kept."""
    vae: int
    """Zero if latents are cached; it is then loaded only to cache them and for previews."""
    phases: dict[str, int]
    """Total bytes at the peak of each phase, without CUDA's overhead."""
    notes: tuple[str, ...] = ()
    """Parts that are not counted, one sentence each."""

    @property
    def resting(self) -> int:
        """Bytes that stay allocated between two steps."""
        parts = (self.unet, self.text_encoders, self.lora, self.optimizer, self.average, self.vae)
        return sum(parts)

    @property
    def worst_phase(self) -> str:
        """The phase with the highest peak."""
        return max(self.phases, key=lambda name: self.phases[name])

    @property
    def allocated(self) -> int:
        """Bytes of tensors at the highest peak."""
        return max(self.phases.values())

    @property
    def total(self) -> int:
        """Bytes of the GPU at the highest peak, CUDA's overhead included."""
        return self.allocated + CUDA_OVERHEAD_BYTES


def estimate_memory(settings: RunSettings, facts: Facts, shapes: Shapes) -> MemoryEstimate:
    """Estimate the GPU memory of a training; ``facts.dataset`` must be known.

    The first call takes seconds to count a step's memory; the count is cached.
    """
    step = training_step(settings, facts, shapes)
    counted = counted_step(step)
    lora = counted.lora_parameters * BYTES[step.lora_dtype]
    name = optimizer_name(settings)
    state = optimizer_bytes(name, counted.lora, BYTES[step.lora_dtype])
    keeps_text = not settings["cache_text_encoder_outputs"] or step.trains_text
    vae = counted.vae * BYTES[step.vae_dtype]
    resting = MemoryEstimate(
        unet=counted.unet * BYTES[step.unet_dtype],
        text_encoders=counted.text * BYTES[step.text_dtype] if keeps_text else 0,
        lora=lora,
        optimizer=state or 0,
        average=counted.lora_parameters * 4 if settings["ema_decay"] else 0,
        vae=0 if settings["cache_latents"] else vae,
        phases={},
        notes=tuple(_notes(settings, name, state)),
    )
    update = lora + update_bytes(name, counted.lora, BYTES[step.lora_dtype])
    return replace(resting, phases=_phases(settings, step, counted, resting, vae, update))


def _phases(
    settings: RunSettings,
    step: TrainingStep,
    counted: CountedStep,
    resting: MemoryEstimate,
    vae: int,
    update: int,
) -> dict[str, int]:
    """Bytes in use in each phase of a training, by its name."""
    phases = {
        "a step": resting.resting + counted.step,
        "an update of the weights": resting.resting + update,
    }
    if settings["cache_latents"]:
        phases["caching latents"] = vae + counted.encoding
    else:
        phases["encoding clips"] = resting.resting + counted.encoding
    if settings["preview_every_n_steps"]:
        loaded_vae = vae if settings["cache_latents"] else 0
        lora_backup = resting.lora if settings["ema_decay"] else 0
        # decoding one image takes more than sampling a batch of four, at all sizes tried
        phases["a preview"] = resting.resting + loaded_vae + lora_backup + counted.decoding
    return phases


def _notes(settings: RunSettings, optimizer: str, state: int | None) -> list[str]:
    """Sentences on memory that is not counted."""
    notes = []
    if state is None:
        notes.append(f"the state of {optimizer} is not known and not counted")
    if settings["network_module"] != "networks.lora":
        notes.append(f"{settings['network_module']} is counted as networks.lora of the same rank")
    if any("block" in argument for argument in settings["network_args"] or ()):
        notes.append("ranks per block are not counted: network_dim is assumed for all")
    return notes


REMEDIES: tuple[dict[str, Any], ...] = (
    {"gradient_checkpointing": True},
    {"cache_latents": True},
    {"train_batch_size": 1},
    {"preview_every_n_steps": None},
    {"network_train_unet_only": True},
    {"cache_text_encoder_outputs": True, "dataset_shuffle": False},
)
"""Changes that save memory, the cheapest first. Gradient accumulation makes up for a smaller batch,
so that a step still sees the same number of clips."""


def installed_gpu_bytes() -> int | None:
    """Memory of the first GPU here; None without one."""
    import torch

    return torch.cuda.get_device_properties(0).total_memory if torch.cuda.is_available() else None


def memory_warning(
    settings: RunSettings, facts: Facts, shapes: Shapes, needed: MemoryEstimate, gpu_bytes: int
) -> Finding | None:
    """A warning with changes that help, if a GPU of ``gpu_bytes`` is too small; else None."""
    if needed.total <= gpu_bytes:
        return None
    changed, stated, less = settings, [], needed
    for remedy in 2 * REMEDIES:  # twice: some help only after one further down the list
        tried, words = _with_remedy(changed, facts, remedy)
        after = estimate_memory(tried, facts, shapes) if words and less.total > gpu_bytes else less
        if after.total < less.total:
            changed, less = tried, after
            stated += words
    size = f"{readable_size(needed.total)} at its peak ({needed.worst_phase})"
    remedy = (
        f"with {' '.join(f'--set {word}' for word in stated)} it takes {readable_size(less.total)}"
    )
    if not stated:
        remedy = "no setting known here takes less; use smaller images or a smaller base"
    elif less.total > gpu_bytes:
        remedy += ", still too much; use smaller images, a lower network_dim or a smaller base"
    message = f"training takes about {size} and the GPU has {readable_size(gpu_bytes)}: {remedy}"
    return Finding("too-much-memory", "warning", message)


def _with_remedy(
    settings: RunSettings, facts: Facts, remedy: dict[str, Any]
) -> tuple[RunSettings, list[str]]:
    """Settings with a remedy applied, and the changes as ``key=value``; none if nothing changes."""
    if "cache_text_encoder_outputs" in remedy and facts.architecture != "sdxl":
        return settings, []
    if "train_batch_size" in remedy:
        remedy = {**remedy, "gradient_accumulation_steps": clips_per_step(settings, facts)}
    changes = {key: value for key, value in remedy.items() if settings[key] != value}
    stated = {k: v for k, v in {**settings.stated, **changes}.items() if v is not None}
    words = [f"{k}={_set_value(v)}" for k, v in changes.items()]
    return replace(settings, stated=stated), words


def _set_value(value: Any) -> str:
    """A value as ``--set`` takes it."""
    return "" if value is None else str(value).lower()


def readable_size(size: int) -> str:
    """Bytes as text, in GB (2^30 bytes), or below a tenth of that in MB (2^20 bytes).

    >>> readable_size(25769803776), readable_size(5000000)
    ('24.0 GB', '5 MB')
    """
    return f"{size / GB:.1f} GB" if size >= GB / 10 else f"{size / 2**20:.0f} MB"
