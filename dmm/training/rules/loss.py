"""Rules on the loss: Huber threshold, weights by timestep, kind of prediction, noise."""

from math import prod, sqrt

from ..facts import Facts
from ..run_settings import RunSettings
from .base import ARCHITECTURES, Rule
from .dependencies import HUBER

SDXL_OFFSET = 0.0357
"""SDXL's noise offset in pretraining (``DEFAULT_NOISE_OFFSET`` of sd-scripts' sdxl_train_util)."""
PIXELS_PER_LATENT = 8


def is_huber(settings: RunSettings) -> bool:
    """Whether the loss has a threshold."""
    return settings["loss_type"] in HUBER


def predicts_v(settings: RunSettings, facts: Facts) -> bool:
    """Whether the network predicts v, by the checkpoint's metadata or else by the preset."""
    by_base = facts.base and facts.base.prediction_type == "v_prediction"
    return bool(by_base or settings["v_parameterization"])


def huber_scale_without_effect(settings: RunSettings, facts: Facts) -> str | None:
    """Report ``huber_scale`` under ``huber_start`` or the snr schedule, where it is not read."""
    if not is_huber(settings) or settings["huber_scale"] == 1:
        return None
    if settings["huber_start"] is not None:
        why, remedy = "huber_start and huber_end are the threshold", "remove it"
    elif settings["huber_schedule"] == "snr":
        why = "the snr schedule goes from 1 down to huber_c and has no scale"
        remedy = 'remove it, or take huber_schedule = "exponential"'
    else:
        return None
    return f"{settings.quote('huber_scale')} does nothing: {why}; {remedy}"


def huber_c_without_effect(settings: RunSettings, facts: Facts) -> str | None:
    """Report ``huber_c`` under ``huber_start``, unless a timestep schedule reads it."""
    if not (is_huber(settings) and settings.states("huber_c")) or settings["huber_start"] is None:
        return None
    if settings["huber_over"] == "training" and settings["huber_schedule"] != "constant":
        return None
    return (
        f"{settings.quote('huber_c')} does nothing: huber_start and huber_end are the threshold; "
        "set these, or unset huber_start to leave the threshold to huber_c"
    )


def constant_over_timestep(settings: RunSettings, facts: Facts) -> str | None:
    """Report a threshold over timesteps with the constant schedule, which ignores them."""
    if settings["huber_start"] is None or settings["huber_over"] != "timestep":
        return None
    if not is_huber(settings) or settings["huber_schedule"] != "constant":
        return None
    return (
        f"{settings.quote('huber_over', 'huber_schedule')}: a constant schedule cannot go from "
        "start "
        'to end over the timesteps; set huber_schedule = "exponential" or "snr"'
    )


def min_snr_with_debiased(settings: RunSettings, facts: Facts) -> str | None:
    """Report two weightings by timestep at once: their product is neither paper's weight."""
    if not (settings["min_snr_gamma"] and settings["debiased_estimation_loss"]):
        return None
    return (
        f"{settings.quote('min_snr_gamma', 'debiased_estimation_loss')}: both weight timesteps and "
        "would be multiplied, which is neither method; keep one of them"
    )


def prediction_against_checkpoint(settings: RunSettings, facts: Facts) -> str | None:
    """Report ``v_parameterization`` against the prediction type of the checkpoint."""
    if facts.base is None or not settings.states("v_parameterization"):
        return None
    if settings["v_parameterization"] == (facts.base.prediction_type == "v_prediction"):
        return None
    return (
        f"{settings.quote('v_parameterization')}: the base predicts "
        f"{'v' if facts.base.prediction_type == 'v_prediction' else 'the noise'}, by its metadata "
        "(modelspec.prediction_type), and would be trained on the other; remove it"
    )


def weights_of_the_other_prediction(settings: RunSettings, facts: Facts) -> str | None:
    """Report a loss weight made for the other kind of prediction."""
    v = predicts_v(settings, facts)
    key = "v_pred_like_loss" if v else "scale_v_pred_loss_like_noise_pred"
    if not settings[key]:
        return None
    kind = "v" if v else "the noise"
    return f"{settings.quote(key)} is not for a base that predicts {kind}; remove it"


def zero_snr_without_v(settings: RunSettings, facts: Facts) -> str | None:
    """Report ``zero_terminal_snr`` for a base that predicts the noise."""
    if not settings["zero_terminal_snr"] or predicts_v(settings, facts):
        return None
    return (
        f"{settings.quote('zero_terminal_snr')}: the base predicts the noise, from which "
        "nothing is learnt where no signal is left; remove it, it is for bases that predict v"
    )


def no_timesteps_left(settings: RunSettings, facts: Facts) -> str | None:
    """Report an empty range of timesteps; the engine excludes ``max_timestep``."""
    low, high = settings["min_timestep"] or 0, settings["max_timestep"]
    if (high is None or low < high) and low < 1000:
        return None
    return f"{settings.quote('min_timestep', 'max_timestep')}: no timestep lies between; widen them"


def widening_threshold(settings: RunSettings, facts: Facts) -> str | None:
    """Report a Huber threshold that widens over the training."""
    start, end = settings["huber_start"], settings["huber_end"]
    if not is_huber(settings) or start is None or start >= end:
        return None
    return (
        f"{settings.quote('huber_start', 'huber_end')}: the threshold widens, which trains "
        "detail first and coarse shape last; the first model did well the other way: swap them"
    )


def noise_offset_moves_loudness(settings: RunSettings, facts: Facts) -> str | None:
    """Report a noise offset above the base's own, and how far it hides the loudness floor."""
    offset, usual = settings["noise_offset"], SDXL_OFFSET if facts.architecture == "sdxl" else 0.0
    if not offset or offset <= usual + 1e-3:
        return None
    data = facts.dataset
    width, height = data.resolution if data and data.resolution else (512, 512)
    cells = width * height // PIXELS_PER_LATENT**2
    without, with_offset = (mean_level_deviation(cells, value) for value in (usual, offset))
    name = ARCHITECTURES[facts.architecture]
    return (
        f"{settings.quote('noise_offset')}: {name} was trained with {usual:g}. At the last "
        f"timestep noise hides the mean level of a latent channel to within {with_offset:.2f} "
        f"instead of {without:.2f} (a channel's own spread is about 1), so the loudness floor is "
        f"learnt again; listen to silences, or set noise_offset = {usual:g}"
    )


def mean_level_deviation(cells: int, offset: float) -> float:
    """Standard deviation of a latent channel's mean as estimated at the noisiest timestep.

    The mean of ``cells`` independent noises varies by 1/sqrt(cells), an offset adds its own.
    The signal is scaled by sqrt(a), with a = .0047 at Stable Diffusion's last timestep.

    >>> round(mean_level_deviation(64 * 64, 0.0), 2), round(mean_level_deviation(64 * 64, 0.1), 2)
    (0.23, 1.48)
    """
    roots = (sqrt(0.00085) + (sqrt(0.012) - sqrt(0.00085)) * t / 999 for t in range(1000))
    signal = prod(1 - root * root for root in roots)
    return sqrt((1 / cells + offset**2) * (1 - signal) / signal)


ERRORS: tuple[Rule, ...] = (
    huber_scale_without_effect,
    huber_c_without_effect,
    constant_over_timestep,
    min_snr_with_debiased,
    prediction_against_checkpoint,
    weights_of_the_other_prediction,
    zero_snr_without_v,
    no_timesteps_left,
)
WARNINGS: tuple[Rule, ...] = (
    widening_threshold,
    noise_offset_moves_loudness,
)
