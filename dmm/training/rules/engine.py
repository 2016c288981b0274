"""Rules on the engine: what a trainer lacks, what our trainer does itself, precision, packages."""

from ..facts import Facts
from ..presets import Resolved, known_options
from .base import ARCHITECTURES, Rule, said, shown

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
"""Options of the engine that do nothing in our trainer, and what does the same here."""
NEEDS = {
    "gradient_checkpointing": ("cpu_offload_checkpointing",),
    "max_data_loader_n_workers": ("persistent_data_loader_workers",),
    "deepspeed": ("zero3_init_flag", "zero3_save_16bit_model", "fp16_master_weights_and_gradients"),
}
"""A setting, and those that are for nothing or fail while it is off."""
PRECISIONS = {
    "full_fp16": ("fp16",),
    "full_bf16": ("bf16",),
    "fp8_base": ("fp16", "bf16"),
    "fp8_base_unet": ("fp16", "bf16"),
}
"""The kinds of mixed precision that a setting goes with."""
ATTENTION = ("sdpa", "xformers", "mem_eff_attn")


def not_in_this_trainer(settings: Resolved, facts: Facts) -> str | None:
    """The engine would ignore it without a word."""
    options = known_options()
    for key in settings.stated:
        if facts.architecture not in options[key].trainers:
            return (
                f"{said(settings, key)}: the engine's {ARCHITECTURES[facts.architecture]} trainer "
                "has no such setting; remove it"
            )
    return None


def clip_skip_on_sdxl(settings: Resolved, facts: Facts) -> str | None:
    """sd-scripts takes SDXL's usual layers whatever it says."""
    if facts.architecture != "sdxl" or settings["clip_skip"] is None:
        return None
    return (
        f"{said(settings, 'clip_skip')} does nothing on SDXL, whose captions are always read from "
        "the last layer but one; remove it"
    )


def done_by_our_trainer(settings: Resolved, facts: Facts) -> str | None:
    """Options whose work the plugin has taken over."""
    for key, instead in OURS_INSTEAD.items():
        if settings.states(key) and settings[key] not in (False, None):
            remedy = f"use {instead}" if instead else "remove it"
            return f"{said(settings, key)} does nothing here: dmm train does this itself; {remedy}"
    return None


def other_file_kind(settings: Resolved, facts: Facts) -> str | None:
    """A LoRA without our metadata cannot say how to decode its images."""
    if settings["no_metadata"]:
        return (
            f"{said(settings, 'no_metadata')}: the LoRA could not say how its images decode; "
            "remove it"
        )
    if settings["save_model_as"] == "safetensors":
        return None
    return f'{said(settings, "save_model_as")}: dmm reads safetensors only; set it to "safetensors"'


def needs_another(settings: Resolved, facts: Facts) -> str | None:
    """Fails after loading, or does nothing."""
    for needed, keys in NEEDS.items():
        for key in keys:
            if settings[key] and not settings[needed]:
                return f"{said(settings, key)} needs {needed}; set that too, or remove it"
    return None


def precision_mismatch(settings: Resolved, facts: Facts) -> str | None:
    """The engine refuses these after loading."""
    mixed = settings["mixed_precision"]
    for key, needed in PRECISIONS.items():
        if settings[key] and mixed not in needed:
            return (
                f"{said(settings, key, 'mixed_precision')}: {' or '.join(needed)} is needed with it"
            )
    return None


def sd2_base(settings: Resolved, facts: Facts) -> str | None:
    """No base of ours."""
    if not settings["v2"]:
        return None
    return f"{said(settings, 'v2')} is for SD 2, which is not trained here; remove it"


def several_attentions(settings: Resolved, facts: Facts) -> str | None:
    """The engine would take one of them."""
    chosen = [key for key in ATTENTION if settings[key]]
    if len(chosen) < 2:
        return None
    return f"{said(settings, *chosen)}: one kind of attention is used; keep sdpa"


def preset_of_another_base(settings: Resolved, facts: Facts) -> str | None:
    """Our presets begin with what they are for; they would train, at settings made for another."""
    kind = settings.name.partition("-")[0]
    if kind not in ("sdxl", "sd15") or kind == facts.architecture:
        return None
    return (
        f"{settings.name} is made for {ARCHITECTURES[kind]} and the base is "
        f"{ARCHITECTURES[facts.architecture]}; take a preset for it, or another base"
    )


def plain_attention(settings: Resolved, facts: Facts) -> str | None:
    """It keeps every weight of every head."""
    if any(settings[key] for key in ATTENTION):
        return None
    return (
        "none of sdpa, xformers and mem_eff_attn is set: attention takes far more memory; set "
        "sdpa = true"
    )


def half_vae(settings: Resolved, facts: Facts) -> str | None:
    """SDXL's VAE overflows, and the engine replaces what is no number by zeros."""
    if facts.architecture != "sdxl" or settings["no_half_vae"]:
        return None
    if settings["mixed_precision"] != "fp16":
        return None
    return (
        f"{said(settings, 'mixed_precision')}: SDXL's VAE overflows in fp16; set no_half_vae = true"
    )


def part_without_effect(settings: Resolved, facts: Facts) -> str | None:
    """A difference that is none on this preset, as when an ablation is compared with itself."""
    below: dict[str, object] = {}
    for layer in settings.layers:
        before = {key: below.get(key, known_options()[key].default) for key in layer.values}
        now = {k: known_options()[k].default if v is None else v for k, v in layer.values.items()}
        if below and layer.values and before == now:
            stated = ", ".join(f"{key} = {shown(value)}" for key, value in now.items())
            return f"{layer.name} changes nothing here: {stated} holds without it; leave it out"
        below |= now
    return None


ERRORS: tuple[Rule, ...] = (
    not_in_this_trainer,
    clip_skip_on_sdxl,
    done_by_our_trainer,
    other_file_kind,
    needs_another,
    precision_mismatch,
    sd2_base,
    several_attentions,
)
WARNINGS: tuple[Rule, ...] = (
    preset_of_another_base,
    plain_attention,
    half_vae,
    part_without_effect,
)
