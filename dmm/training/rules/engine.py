"""Rules on engine settings: those that a trainer lacks or ours replaces, precision, attention."""

from ..facts import Facts
from ..known_settings import known_options
from ..run_settings import RunSettings
from ..values import toml_value
from .base import ARCHITECTURES, Rule

OURS_INSTEAD = {
    "save_every_n_epochs": "save_every_n_steps",
    "save_n_epoch_ratio": "save_every_n_steps",
    "save_last_n_epochs": None,
    "save_last_n_steps": None,
    "save_last_n_epochs_state": "save_last_n_steps_state",
    "sample_every_n_steps": "preview_every_n_steps",
    "sample_every_n_epochs": "preview_every_n_steps",
    "sample_at_first": "preview_every_n_steps, which begins with one",
    "sample_prompts": "preview_prompts",
    "sample_sampler": "preview_sampler",
    "validate_every_n_epochs": "validate_every_n_steps",
    "validation_split": "the dataset's val split, which keeps tracks apart",
    "validation_seed": None,
    "skip_until_initial_step": "--resume",
    "initial_step": "--resume",
    "initial_epoch": "--resume",
    "dataset_class": "--dataset",
    "fused_backward_pass": None,
}
"""Options of the engine that do nothing in our trainer, and the ones to use instead."""
PRECISIONS = {
    "full_fp16": ("fp16",),
    "full_bf16": ("bf16",),
    "fp8_base": ("fp16", "bf16"),
    "fp8_base_unet": ("fp16", "bf16"),
}
"""Setting to the kinds of mixed precision that it works with."""
ATTENTION = ("sdpa", "xformers", "mem_eff_attn")


def not_in_this_trainer(settings: RunSettings, facts: Facts) -> str | None:
    """Report a setting that this architecture's trainer of the engine does not have."""
    options = known_options()
    for key in settings.stated:
        if facts.architecture not in options[key].trainers:
            return (
                f"{settings.quote(key)}: the engine's {ARCHITECTURES[facts.architecture]} trainer "
                "has no such setting; remove it"
            )
    return None


def clip_skip_on_sdxl(settings: RunSettings, facts: Facts) -> str | None:
    """Report ``clip_skip`` on SDXL, where sd-scripts ignores it."""
    if facts.architecture != "sdxl" or settings["clip_skip"] is None:
        return None
    return (
        f"{settings.quote('clip_skip')} does nothing on SDXL, whose captions are always read from "
        "the last layer but one; remove it"
    )


def done_by_our_trainer(settings: RunSettings, facts: Facts) -> str | None:
    """Report an option of the engine that our trainer replaces by its own."""
    for key, instead in OURS_INSTEAD.items():
        if settings.states(key) and settings[key] not in (False, None):
            remedy = f"use {instead}" if instead else "remove it"
            return f"{settings.quote(key)} does nothing here: dmm train does this itself; {remedy}"
    return None


def unreadable_lora_file(settings: RunSettings, facts: Facts) -> str | None:
    """Report a LoRA file without metadata, or in another format than safetensors."""
    if settings["no_metadata"]:
        return (
            f"{settings.quote('no_metadata')}: the LoRA would not state how its images decode; "
            "remove it"
        )
    if settings["save_model_as"] == "safetensors":
        return None
    return f'{settings.quote("save_model_as")}: dmm reads safetensors only; set it to "safetensors"'


def precision_mismatch(settings: RunSettings, facts: Facts) -> str | None:
    """Report a precision setting that does not fit ``mixed_precision``."""
    mixed = settings["mixed_precision"]
    for key, needed in PRECISIONS.items():
        if settings[key] and mixed not in needed:
            return (
                f"{settings.quote(key, 'mixed_precision')}: {' or '.join(needed)} is needed with it"
            )
    return None


def sd2_base(settings: RunSettings, facts: Facts) -> str | None:
    """Report the setting for SD 2, which is not supported."""
    if not settings["v2"]:
        return None
    return f"{settings.quote('v2')} is for SD 2, which is not trained here; remove it"


def several_attentions(settings: RunSettings, facts: Facts) -> str | None:
    """Report several attention kernels at once, of which the engine uses one."""
    chosen = [key for key in ATTENTION if settings[key]]
    if len(chosen) < 2:
        return None
    return f"{settings.quote(*chosen)}: only one kind of attention is used; keep sdpa"


def preset_of_another_base(settings: RunSettings, facts: Facts) -> str | None:
    """Report a shipped preset made for another architecture than the base's."""
    kind = settings.name.partition("-")[0]
    if kind not in ("sdxl", "sd15") or kind == facts.architecture:
        return None
    return (
        f"{settings.name} is made for {ARCHITECTURES[kind]} and the base is "
        f"{ARCHITECTURES[facts.architecture]}; take a preset for it, or another base"
    )


def no_memory_saving_attention(settings: RunSettings, facts: Facts) -> str | None:
    """Report that no memory-saving attention kernel is set."""
    if any(settings[key] for key in ATTENTION):
        return None
    return (
        "none of sdpa, xformers and mem_eff_attn is set: attention takes far more memory; set "
        "sdpa = true"
    )


def fp16_vae(settings: RunSettings, facts: Facts) -> str | None:
    """Report SDXL's VAE in fp16: it overflows, and the engine replaces NaN by zeros."""
    if facts.architecture != "sdxl" or settings["no_half_vae"]:
        return None
    if settings["mixed_precision"] != "fp16":
        return None
    return (
        f"{settings.quote('mixed_precision')}: SDXL's VAE overflows in fp16; set no_half_vae = true"
    )


def preset_without_effect(settings: RunSettings, facts: Facts) -> str | None:
    """Report a part of the preset (after a ``+``) that changes nothing on this preset."""
    below: dict[str, object] = {}
    for layer in settings.layers:
        before = {key: below.get(key, known_options()[key].default) for key in layer.values}
        now = {k: known_options()[k].default if v is None else v for k, v in layer.values.items()}
        if below and layer.values and before == now:
            stated = ", ".join(f"{key} = {toml_value(value)}" for key, value in now.items())
            return f"{layer.name} changes nothing here: {stated} holds without it; leave it out"
        below |= now
    return None


def left_over_from_preset(settings: RunSettings, facts: Facts) -> str | None:
    """Report settings of a shipped preset that the user's own settings replace."""
    pairs = [
        f"{key} of the preset gives way to {settings.quote(other)}"
        for key, other in settings.leftovers.items()
    ]
    return f"{'; '.join(pairs)}; to keep it, remove the latter" if pairs else None


ERRORS: tuple[Rule, ...] = (
    not_in_this_trainer,
    clip_skip_on_sdxl,
    done_by_our_trainer,
    unreadable_lora_file,
    precision_mismatch,
    sd2_base,
    several_attentions,
)
WARNINGS: tuple[Rule, ...] = (
    preset_of_another_base,
    no_memory_saving_attention,
    fp16_vae,
    preset_without_effect,
    left_over_from_preset,
)
