"""Settings that our plugin adds to those of sd-scripts, grouped by concern.

Each is an argument of the trainer's parser and a key of a preset; ``dmm train --explain KEY``
explains it (``presets/explain.toml``).
"""

import argparse
from typing import Any

from dmm.generation.sampling import SAMPLERS

from .losses import LOSSES

CURVES = ("linear", "cosine", "exponential", "step")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add every option of the plugin to a parser of the engine's."""
    for title, add in GROUPS.items():
        add(parser.add_argument_group(title))


def loss_defaults() -> dict[str, Any]:
    """Defaults of the settings that change the loss: added losses, weights and masks are off."""
    parser = argparse.ArgumentParser(add_help=False)
    for title in CHANGE_THE_LOSS:
        GROUPS[title](parser.add_argument_group(title))
    return vars(parser.parse_args([]))


def _add_huber_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--huber_start",
        type=float,
        help="Huber threshold at the start; unset leaves the threshold to the engine's settings",
    )
    group.add_argument("--huber_end", type=float, default=0.05, help="Huber threshold at the end")
    group.add_argument(
        "--huber_over",
        choices=("training", "timestep"),
        default="training",
        help="range that start and end refer to: the run, or the diffusion timesteps",
    )
    group.add_argument(
        "--huber_curve",
        choices=CURVES,
        default="linear",
        help="curve of the threshold over training",
    )
    group.add_argument(
        "--huber_validation",
        type=float,
        default=0.1,
        help="threshold of the validation loss, whatever the training loss",
    )


def _add_loss_options(group: argparse._ArgumentGroup) -> None:
    for name, loss in LOSSES.items():
        group.add_argument(f"--{name}", type=float, default=0.0, help=loss.help)


def _add_mel_row_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--mel_tilt",
        type=float,
        default=0.0,
        help="log of the lowest mel row's weight over the highest row's; 0 weights all equally",
    )
    group.add_argument(
        "--snr_gate",
        type=float,
        help="added losses and mel_tilt only at timesteps with at least this signal-to-noise ratio",
    )


def _add_spec_augment_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--spec_augment", type=float, default=0.0, help="share of clips that are masked; 0 is off"
    )
    group.add_argument(
        "--spec_augment_time", type=float, default=0.2, help="largest share of time in a mask"
    )
    group.add_argument(
        "--spec_augment_mel", type=float, default=0.2, help="largest share of mel rows in a mask"
    )


def _add_stopping_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--ema_decay", type=float, help="keep a moving average of the weights with this decay"
    )
    group.add_argument(
        "--early_stop_patience",
        type=int,
        help="stop after this many validations without improvement",
    )
    group.add_argument(
        "--early_stop_min_delta",
        type=float,
        default=0.0,
        help="an improvement is a validation loss lower by more than this",
    )


def _add_preview_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--preview_every_n_steps", type=int, help="generate and score clips every so many steps"
    )
    group.add_argument(
        "--preview_prompts", type=str, nargs="+", help="prompts of the previews, without the anchor"
    )
    group.add_argument("--preview_count", type=int, default=2, help="clips per prompt")
    group.add_argument("--preview_steps", type=int, default=20, help="sampler steps")
    group.add_argument(
        "--preview_guidance", type=float, default=5.0, help="guidance scale; 1 is none"
    )
    group.add_argument(
        "--preview_sampler",
        choices=tuple(SAMPLERS),
        default="dpmsolver++",
        help="sampler of the previews",
    )
    group.add_argument("--preview_seed", type=int, default=0, help="seed of the first preview clip")
    group.add_argument(
        "--preview_embedder",
        type=str,
        default="mel-stats",
        help="embedder that scores the previews: mel-stats, nano-clap, clap, laion-clap",
    )
    group.add_argument("--preview_weights", type=str, help="folder of the embedder's weights")
    group.add_argument(
        "--preview_reference", type=str, help="folder of mel images that previews are compared with"
    )


def _add_collapse_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--collapse_floor",
        type=float,
        default=0.05,
        help="diversity within a prompt below which a preview counts as collapsed",
    )
    group.add_argument(
        "--collapse_patience",
        type=int,
        default=3,
        help="previews in a row below the floor before the alarm",
    )
    group.add_argument(
        "--collapse_stop", action="store_true", help="end the run when the alarm goes off"
    )


def _add_identity_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--anchor", type=str, help="text before every caption")
    group.add_argument(
        "--lora_metadata",
        type=str,
        nargs="+",
        help="dmm_key=value pairs written into every LoRA file",
    )


GROUPS = {
    "Huber threshold": _add_huber_options,
    "added losses": _add_loss_options,
    "mel rows and timesteps of the loss": _add_mel_row_options,
    "SpecAugment in latent space": _add_spec_augment_options,
    "averaging and early stopping": _add_stopping_options,
    "previews": _add_preview_options,
    "collapse alarm": _add_collapse_options,
    "identity": _add_identity_options,
}
CHANGE_THE_LOSS = (
    "added losses",
    "mel rows and timesteps of the loss",
    "SpecAugment in latent space",
)
"""Groups of ``GROUPS`` that validation switches off."""
