"""Rules on the LoRA: rank, alpha, layers, text encoders and their learning rates."""

from ..facts import Facts
from ..known_settings import did_you_mean
from ..run_settings import RunSettings
from .base import Rule

LORA = "networks.lora"
LORA_ARGS = (
    "conv_dim", "conv_alpha", "dropout", "rank_dropout", "module_dropout",
    "block_dims", "block_alphas", "conv_block_dims", "conv_block_alphas",
    "down_lr_weight", "mid_lr_weight", "up_lr_weight", "block_lr_zero_threshold",
    "loraplus_lr_ratio", "loraplus_unet_lr_ratio", "loraplus_text_encoder_lr_ratio",
)  # fmt: skip
"""Keys of network_args that ``networks/lora.py`` reads; it accepts and ignores any other."""
NUMBER_ARGS = ("conv_dim", "conv_alpha", "rank_dropout", "module_dropout")
DEFAULT_RANK = 4
"""The engine's default where ``network_dim`` is unset."""
HIGH_RANK = 128
"""The first model collapsed at its highest rank and alpha; the values were not recorded."""


def network_args(settings: RunSettings) -> dict[str, str]:
    """``network_args`` as a mapping; a word without ``=`` has an empty value."""
    pairs = (argument.partition("=") for argument in settings["network_args"] or ())
    return {key.strip(): value.strip() for key, _, value in pairs}


def parse_number(text: str | None) -> float | None:
    """The number that a network argument states; None if it is missing or no number."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def unknown_network_argument(settings: RunSettings, facts: Facts) -> str | None:
    """Report an unknown key in ``network_args``, or a value that is not a number."""
    if settings["network_module"] != LORA:
        return None
    for key, value in network_args(settings).items():
        if key not in LORA_ARGS:
            hint = did_you_mean(key, LORA_ARGS)
            return f"network_args: {LORA} has no {key!r} and would ignore it{hint}"
        if not value or (key in NUMBER_ARGS and parse_number(value) is None):
            return f"network_args: {key}={value}: a number is needed, as in {key}=8"
    return None


def alpha_left_at_one(settings: RunSettings, facts: Facts) -> str | None:
    """Report an unset alpha, which the engine sets to 1 at any rank."""
    if settings.states("network_alpha"):
        return None
    rank = settings["network_dim"] or DEFAULT_RANK
    return (
        f"network_alpha is unset: the engine takes 1, a scale of 1/{rank}; state it (network_alpha "
        f"= {rank} is scale 1)"
    )


def conv_alpha_left_at_one(settings: RunSettings, facts: Facts) -> str | None:
    """Report an unset alpha of the convolutions, which the engine sets to 1 at any rank."""
    found = network_args(settings)
    if "conv_dim" not in found or "conv_alpha" in found:
        return None
    rank = found["conv_dim"]
    return (
        f"network_args: conv_dim={rank} without conv_alpha: the engine takes 1, a scale of "
        f"1/{rank}; add conv_alpha={rank} (scale 1)"
    )


def conv_alpha_without_conv_dim(settings: RunSettings, facts: Facts) -> str | None:
    """Report ``conv_alpha`` without ``conv_dim``: there is no LoRA on convolutions."""
    found = network_args(settings)
    if "conv_alpha" not in found or "conv_dim" in found or "conv_block_dims" in found:
        return None
    return (
        f"network_args: conv_alpha={found['conv_alpha']} does nothing without conv_dim; add "
        "conv_dim for LoRA on convolutions, or remove it"
    )


def nothing_to_train(settings: RunSettings, facts: Facts) -> str | None:
    """Report that both the UNet and the text encoders are excluded from training."""
    keys = ("network_train_unet_only", "network_train_text_encoder_only")
    if not all(settings[key] for key in keys):
        return None
    return f"{settings.quote(*keys)} leave nothing to train; set one of them to false"


def text_encoders_cached_and_trained(settings: RunSettings, facts: Facts) -> str | None:
    """Report text encoders that are trained although their outputs are cached."""
    cached = [
        key
        for key in ("cache_text_encoder_outputs", "cache_text_encoder_outputs_to_disk")
        if settings[key]
    ]
    if not cached or settings["network_train_unet_only"]:
        return None
    return (
        f"{settings.quote(*cached)}: text encoders whose outputs are cached cannot learn; set "
        "network_train_unet_only = true, or do not cache them"
    )


def rank_unset(settings: RunSettings, facts: Facts) -> str | None:
    """Report an unset rank, for which the engine has a low default."""
    if settings.states("network_dim") or settings["network_module"] != LORA:
        return None
    return (
        f"network_dim is unset: the engine takes rank {DEFAULT_RANK}, very little; state it, as 32"
    )


def scale_above_one(settings: RunSettings, facts: Facts) -> str | None:
    """Report an alpha above the rank: alpha / rank scales the LoRA's change."""
    found = network_args(settings)
    pairs = {
        ("network_alpha", "network_dim"): (settings["network_alpha"], settings["network_dim"]),
        ("conv_alpha", "conv_dim"): (
            parse_number(found.get("conv_alpha")),
            parse_number(found.get("conv_dim")),
        ),
    }
    for (alpha_name, rank_name), (alpha, rank) in pairs.items():
        if alpha and rank and alpha > rank:
            return (
                f"{alpha_name} {alpha:g} over {rank_name} {rank:g} is a scale of {alpha / rank:g}: "
                "larger steps, and mode collapse sooner; an alpha up to the rank is usual"
            )
    return None


def high_rank(settings: RunSettings, facts: Facts) -> str | None:
    """Report a rank at which the first model may have collapsed."""
    if (settings["network_dim"] or 0) < HIGH_RANK or settings["network_module"] != LORA:
        return None
    return (
        f"{settings.quote('network_dim', 'network_alpha')}: the first model collapsed at its "
        "highest rank and alpha; watch preview/prompt_diversity, or keep alpha at 32"
    )


def rank_above_width(settings: RunSettings, facts: Facts) -> str | None:
    """Report a rank above the width of the base's narrowest layers."""
    width, rank = facts.base.width if facts.base else None, settings["network_dim"] or 0
    if not width or rank <= width:
        return None
    return (
        f"{settings.quote('network_dim')}: the base's narrowest layers have {width} channels, and "
        f"their change has at most that rank; {width} holds as much there"
    )


def other_network(settings: RunSettings, facts: Facts) -> str | None:
    """Report another network than ``networks.lora``: nothing here is tested with it."""
    if settings["network_module"] == LORA:
        return None
    return (
        f"{settings.quote('network_module')}: dmm generate and dmm fuse are tested with {LORA} "
        "only; try a run of a few steps first"
    )


ERRORS: tuple[Rule, ...] = (
    unknown_network_argument,
    alpha_left_at_one,
    conv_alpha_left_at_one,
    conv_alpha_without_conv_dim,
    nothing_to_train,
    text_encoders_cached_and_trained,
)
WARNINGS: tuple[Rule, ...] = (
    rank_unset,
    scale_above_one,
    high_rank,
    rank_above_width,
    other_network,
)
