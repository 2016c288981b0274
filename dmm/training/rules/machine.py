"""Rules on settings that need a GPU, for machines without one that torch can use.

Each rule returns a sentence with the problem and its ways out, or None.
"""

from ..facts import Facts
from ..lengths import total_steps
from ..run_settings import RunSettings
from .base import Rule
from .optimizer import adamw_instead, optimizer_key, package_of_optimizer

CPU_SECONDS_PER_STEP = 265
"""Of ``sdxl-24gb`` at 512 x 512 pixels in bf16, on two cores that other programs used too."""
FULL_WIDTH = 320
"""Channels of the first level of SDXL's and SD 1.5's UNet."""


def optimizer_without_gpu(settings: RunSettings, facts: Facts) -> str | None:
    """Report an optimizer of bitsandbytes where torch sees no CUDA GPU."""
    if facts.device in (None, "cuda") or package_of_optimizer(settings) != "bitsandbytes":
        return None
    ways = f"train where there is one, or here with {adamw_instead(settings)}"
    slow = f" ({_duration_on_cpu(settings, facts)})" if is_full_size_on_cpu(facts) else ""
    return (
        f"{settings.quote(optimizer_key(settings))} needs a CUDA GPU, and torch sees none here; "
        f"{ways}{slow}"
    )


def attention_without_gpu(settings: RunSettings, facts: Facts) -> str | None:
    """Report xformers where torch sees no CUDA GPU."""
    if facts.device in (None, "cuda") or not settings["xformers"]:
        return None
    return (
        f"{settings.quote('xformers')} needs a CUDA GPU, and torch sees none here; set sdpa = true "
        "instead"
    )


def half_precision_on_cpu(settings: RunSettings, facts: Facts) -> str | None:
    """Report fp16 on a CPU, which accelerate refuses."""
    if facts.device != "cpu" or settings["mixed_precision"] != "fp16":
        return None
    return (
        f"{settings.quote('mixed_precision')} needs a GPU, and torch sees none here; set "
        'mixed_precision = "bf16"'
    )


def full_size_on_cpu(settings: RunSettings, facts: Facts) -> str | None:
    """Report a base of full size on a CPU, with the time that its training takes."""
    if not is_full_size_on_cpu(facts):
        return None
    return (
        f"the base is of full size and torch sees no GPU here: {_duration_on_cpu(settings, facts)};"
        " --check --calibrate times three steps; try a few first: --set max_train_steps=10"
    )


def is_full_size_on_cpu(facts: Facts) -> bool:
    """Whether SDXL or SD 1.5 of full size would be trained on a CPU."""
    width = facts.base.width if facts.base else None
    return facts.device == "cpu" and (width or 0) >= FULL_WIDTH


def _duration_on_cpu(settings: RunSettings, facts: Facts) -> str:
    """Words on the time that a training takes on a CPU, in steps and hours for SDXL only."""
    if facts.architecture != "sdxl":
        return "a CPU works in bf16, but takes minutes a step"
    steps = total_steps(settings, facts.dataset)
    hours = steps * CPU_SECONDS_PER_STEP / 3600
    total = f"{hours / 24:.0f} days" if hours > 48 else f"{hours:.1f} hours"
    return (
        f"a CPU works in bf16, but took {CPU_SECONDS_PER_STEP} s a step on two busy cores: about "
        f"{total} for {steps} steps"
    )


ERRORS: tuple[Rule, ...] = (
    optimizer_without_gpu,
    attention_without_gpu,
    half_precision_on_cpu,
)
WARNINGS: tuple[Rule, ...] = (full_size_on_cpu,)
