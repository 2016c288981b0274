"""Rules on the loss: Huber threshold, weights by timestep, noise, spectrogram losses."""

from math import prod, sqrt

from ..engine_options import loss_weights
from ..facts import Facts
from ..presets import Resolved
from .base import ARCHITECTURES, Rule, said, said_of_those_stated

HUBER = ("huber", "smooth_l1")
SDXL_OFFSET = 0.0357
"""The noise offset that SDXL was made with, by sd-scripts' sdxl_train_util.DEFAULT_NOISE_OFFSET."""
PIXELS_A_LATENT = 8


def is_huber(settings: Resolved) -> bool:
    """Whether the loss has a threshold."""
    return settings["loss_type"] in HUBER


def is_v(settings: Resolved, facts: Facts) -> bool:
    """Whether the network predicts v; the checkpoint says so, else the preset."""
    told = facts.base and facts.base.prediction_type == "v_prediction"
    return bool(told or settings["v_parameterization"])


def huber_scale_without_effect(settings: Resolved, facts: Facts) -> str | None:
    """Upstream's snr schedule has no scale, and ours replaces it."""
    if not is_huber(settings) or settings["huber_scale"] == 1:
        return None
    if settings["huber_start"] is not None:
        why, remedy = "huber_start and huber_end are the threshold", "remove it"
    elif settings["huber_schedule"] == "snr":
        why = "the snr schedule goes from 1 down to huber_c and has no scale"
        remedy = 'remove it, or take huber_schedule = "exponential"'
    else:
        return None
    return f"{said(settings, 'huber_scale')} does nothing: {why}; {remedy}"


def huber_c_without_effect(settings: Resolved, facts: Facts) -> str | None:
    """With huber_start it only says how far the engine's schedule falls over the timestep."""
    if not (is_huber(settings) and settings.states("huber_c")) or settings["huber_start"] is None:
        return None
    if settings["huber_over"] == "training" and settings["huber_schedule"] != "constant":
        return None
    return (
        f"{said(settings, 'huber_c')} does nothing: huber_start and huber_end are the threshold; "
        "set these, or unset huber_start to leave the threshold to huber_c"
    )


def huber_end_without_start(settings: Resolved, facts: Facts) -> str | None:
    """Without a start the engine's own settings hold."""
    stated = said_of_those_stated(settings, "huber_end", "huber_over", "huber_curve")
    if not is_huber(settings) or settings["huber_start"] is not None or not stated:
        return None
    return f"{stated}: without effect while huber_start is unset; set it, or remove these"


def constant_over_timestep(settings: Resolved, facts: Facts) -> str | None:
    """The constant schedule does not know the timestep."""
    if settings["huber_start"] is None or settings["huber_over"] != "timestep":
        return None
    if not is_huber(settings) or settings["huber_schedule"] != "constant":
        return None
    return (
        f"{said(settings, 'huber_over', 'huber_schedule')}: a constant schedule cannot go from "
        "start "
        'to end over the timesteps; set huber_schedule = "exponential" or "snr"'
    )


def min_snr_with_debiased(settings: Resolved, facts: Facts) -> str | None:
    """Both weigh timesteps; the product is neither paper's weight."""
    if not (settings["min_snr_gamma"] and settings["debiased_estimation_loss"]):
        return None
    return (
        f"{said(settings, 'min_snr_gamma', 'debiased_estimation_loss')}: both weigh timesteps and "
        "would be multiplied, which is neither; keep one of them"
    )


def prediction_against_checkpoint(settings: Resolved, facts: Facts) -> str | None:
    """The checkpoint says what its network predicts."""
    if facts.base is None or not settings.states("v_parameterization"):
        return None
    if settings["v_parameterization"] == (facts.base.prediction_type == "v_prediction"):
        return None
    return (
        f"{said(settings, 'v_parameterization')}: the base predicts "
        f"{'v' if facts.base.prediction_type == 'v_prediction' else 'the noise'}, by its metadata "
        "(modelspec.prediction_type), and would be taught the other; remove it, it follows the base"
    )


def weights_of_the_other_prediction(settings: Resolved, facts: Facts) -> str | None:
    """Weights made for v-prediction, or for its absence."""
    v = is_v(settings, facts)
    key = "v_pred_like_loss" if v else "scale_v_pred_loss_like_noise_pred"
    if not settings[key]:
        return None
    kind = "v" if v else "the noise"
    return f"{said(settings, key)} is not for a base that predicts {kind}; remove it"


def zero_snr_without_v(settings: Resolved, facts: Facts) -> str | None:
    """At zero signal there is nothing to be learnt from predicting the noise."""
    if not settings["zero_terminal_snr"] or is_v(settings, facts):
        return None
    return (
        f"{said(settings, 'zero_terminal_snr')}: the base predicts the noise, which says nothing "
        "where no signal is left; remove it, it is for bases that predict v"
    )


def noise_setting_alone(settings: Resolved, facts: Facts) -> str | None:
    """Settings that only change another one that is off."""
    pairs = {
        "adaptive_noise_scale": "noise_offset",
        "noise_offset_random_strength": "noise_offset",
        "ip_noise_gamma_random_strength": "ip_noise_gamma",
        "multires_noise_discount": "multires_noise_iterations",
        "spec_augment_time": "spec_augment",
        "spec_augment_mel": "spec_augment",
    }
    for key, other in pairs.items():
        if settings.states(key) and settings[key] and not settings[other]:
            return f"{said(settings, key)} does nothing without {other}; set that too, or remove it"
    return None


def gate_without_losses(settings: Resolved, facts: Facts) -> str | None:
    """The gate is of the spectrogram losses alone."""
    others = (*loss_weights(), "mel_tilt")
    if settings["snr_gate"] is None or any(settings[key] for key in others):
        return None
    return (
        f"{said(settings, 'snr_gate')} does nothing: it gates the spectrogram losses and all are "
        f"off; set one of {', '.join(others)}, or remove it"
    )


def no_timesteps_left(settings: Resolved, facts: Facts) -> str | None:
    """The engine draws from min_timestep up to, not including, max_timestep."""
    low, high = settings["min_timestep"] or 0, settings["max_timestep"]
    if (high is None or low < high) and low < 1000:
        return None
    return f"{said(settings, 'min_timestep', 'max_timestep')}: no timestep lies between; widen them"


def huber_without_huber_loss(settings: Resolved, facts: Facts) -> str | None:
    """A threshold that the loss does not have; may be left over from the preset underneath."""
    keys = ("huber_start", "huber_end", "huber_over", "huber_curve", "huber_schedule", "huber_c",
            "huber_scale")  # fmt: skip
    stated = said_of_those_stated(settings, *keys)
    if is_huber(settings) or not stated:
        return None
    return (
        f"{stated}: without effect, {said(settings, 'loss_type')} has no threshold; put +mse on "
        "the "
        'preset for the mean squared error, or set loss_type = "huber"'
    )


def curve_over_timestep(settings: Resolved, facts: Facts) -> str | None:
    """Over timesteps the engine's schedules are the curve."""
    if not (is_huber(settings) and settings.states("huber_curve")):
        return None
    if settings["huber_over"] != "timestep":
        return None
    return (
        f"{said(settings, 'huber_curve')} does nothing over the timestep, where huber_schedule is "
        "the curve; remove it"
    )


def widening_threshold(settings: Resolved, facts: Facts) -> str | None:
    """Coarse first, then detail, is the other way about."""
    start, end = settings["huber_start"], settings["huber_end"]
    if not is_huber(settings) or start is None or start >= end:
        return None
    return (
        f"{said(settings, 'huber_start', 'huber_end')}: the threshold widens, detail first and "
        "coarse shape last; the first model did well the other way about: swap them"
    )


def noise_offset_moves_loudness(settings: Resolved, facts: Facts) -> str | None:
    """More of it than the base was made with, and by how much."""
    offset, usual = settings["noise_offset"], SDXL_OFFSET if facts.architecture == "sdxl" else 0.0
    if not offset or offset <= usual + 1e-3:
        return None
    data = facts.dataset
    width, height = data.resolution if data and data.resolution else (512, 512)
    cells = width * height // PIXELS_A_LATENT**2
    without, with_it = (hidden_level(cells, value) for value in (usual, offset))
    name = ARCHITECTURES[facts.architecture]
    return (
        f"{said(settings, 'noise_offset')}: {name} was made with {usual:g}. Noise hides the mean "
        f"level of a latent channel to within {with_it:.2f} instead of {without:.2f} at the last "
        "timestep (a channel's own spread is about 1), so the loudness floor is learnt anew; "
        f"listen to silences, or set noise_offset = {usual:g}"
    )


def hidden_level(cells: int, offset: float) -> float:
    """Standard deviation with which a channel's mean can be told from its noisiest form.

    The mean of ``cells`` independent noises varies by 1/sqrt(cells), an offset adds its own; both
    are seen beside a signal scaled by sqrt(a), a = .0047 at Stable Diffusion's last timestep.

    >>> round(hidden_level(64 * 64, 0.0), 2), round(hidden_level(64 * 64, 0.1), 2)
    (0.23, 1.48)
    """
    roots = (sqrt(0.00085) + (sqrt(0.012) - sqrt(0.00085)) * t / 999 for t in range(1000))
    signal = prod(1 - root * root for root in roots)
    return sqrt((1 / cells + offset**2) * (1 - signal) / signal)


ERRORS: tuple[Rule, ...] = (
    huber_scale_without_effect,
    huber_c_without_effect,
    huber_end_without_start,
    constant_over_timestep,
    min_snr_with_debiased,
    prediction_against_checkpoint,
    weights_of_the_other_prediction,
    zero_snr_without_v,
    noise_setting_alone,
    gate_without_losses,
    no_timesteps_left,
)
WARNINGS: tuple[Rule, ...] = (
    huber_without_huber_loss,
    curve_over_timestep,
    widening_threshold,
    noise_offset_moves_loudness,
)
