"""Validation that can be compared: the same clips, noise, timesteps and loss, whatever is trained.

sd-scripts validates with the training loss and the training's noise settings, so its figure moves
with the Huber threshold and cannot be held beside that of another preset. Here every clip of the
val split is scored at the same timesteps, with noise seeded by its batch, by one Huber loss.
"""

import argparse
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import send_to_device
from library import strategy_base

from .engine_state import Parts
from .options import loss_defaults
from .patches import changed_settings
from .stream import seed_of, seeded_random

TIMESTEPS = (100, 300, 500, 700, 900)
"""Evenly over the 1000 of the schedule."""
SCORING: dict[str, Any] = {
    "loss_type": "huber",
    "huber_schedule": "constant",
    "huber_scale": 1.0,
    "huber_start": None,
    "noise_offset": None,
    "multires_noise_iterations": None,
    "ip_noise_gamma": None,
    "min_snr_gamma": None,
    "scale_v_pred_loss_like_noise_pred": False,
    "v_pred_like_loss": None,
    "debiased_estimation_loss": False,
    "masked_loss": False,
}
"""The engine's settings while validating; ``huber_c`` is ``huber_validation``, ours are off."""


@torch.no_grad()
def validation_loss(parts: Parts, trainer: Any, group: Any) -> float:
    """Mean loss over the val split's batches and ``TIMESTEPS``; lower is better.

    At most ``max_validation_steps`` batches. Processes share them. The network is in evaluation
    mode meanwhile, and the global random states are as before afterwards.
    """
    accelerator, args = parts.accelerator, parts.args
    flags = {
        "train_text_encoder": trainer.is_train_text_encoder(args),
        "train_unet": not args.network_train_text_encoder_only,
    }
    count = min(len(group), args.max_validation_steps or len(group))
    losses = torch.zeros(2, device=accelerator.device)
    with scored_alike(args), evaluating(parts.network), torch.random.fork_rng():
        for number in range(accelerator.process_index, count, accelerator.num_processes):
            with seeded_random("validation", number):
                batch = send_to_device(group[number], accelerator.device)
            for timestep in TIMESTEPS:
                torch.manual_seed(seed_of("validation", number, timestep))
                args.min_timestep = args.max_timestep = timestep
                loss = trainer.process_batch(batch, *_models(parts), is_train=False, **flags)
                losses += torch.stack([loss.detach(), torch.ones_like(loss)])
    total, scored = accelerator.reduce(losses, reduction="sum").tolist()
    return total / scored


def yardstick(args: argparse.Namespace, group: Any) -> str:
    """What a loss is measured by: only under the same clips and settings are two comparable."""
    infos = [info for dataset in group.datasets for info in dataset.image_data.values()]
    files = [Path(info.absolute_path) for info in infos]
    clips = sorted((file.name, file.stat().st_size) for file in files)
    words = repr((clips, args.max_validation_steps, args.huber_validation))
    return hashlib.sha256(words.encode()).hexdigest()


def _models(parts: Parts) -> tuple[Any, ...]:
    """What the engine hands to ``process_batch`` between the batch and its flags."""
    return (
        parts.text_encoders,
        parts.unet,
        parts.network,
        parts.vae,
        parts.noise_scheduler,
        parts.vae_dtype,
        parts.weight_dtype,
        parts.accelerator,
        parts.args,
        strategy_base.TextEncodingStrategy.get_strategy(),
        strategy_base.TokenizeStrategy.get_strategy(),
    )


@contextmanager
def scored_alike(args: argparse.Namespace) -> Iterator[None]:
    """Within the block the loss is the one that all runs are compared by."""
    fixed = {**loss_defaults(), **SCORING, "huber_c": args.huber_validation}
    fixed |= {"min_timestep": args.min_timestep, "max_timestep": args.max_timestep}
    with changed_settings(args, **fixed):
        yield


@contextmanager
def evaluating(network: Any) -> Iterator[None]:
    """Without the network's dropouts."""
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)


@dataclass
class EarlyStop:
    """Watches the validation loss; without ``patience`` it only remembers the best."""

    patience: int | None
    min_delta: float = 0.0
    best_loss: float = float("inf")
    best_step: int = 0
    waited: int = 0

    def hear(self, step: int, loss: float) -> bool:
        """Take in a validation; true if it is the best so far, by ``min_delta`` or more."""
        if loss >= self.best_loss - self.min_delta:
            self.waited += 1
            return False
        self.best_loss, self.best_step, self.waited = loss, step, 0
        return True

    @property
    def is_over(self) -> bool:
        """No improvement for ``patience`` validations in a row."""
        return self.patience is not None and self.waited >= self.patience

    def state(self) -> dict[str, float]:
        """What a resumed run needs to go on watching."""
        return {
            "best_loss": self.best_loss,
            "best_step": self.best_step,
            "waited": self.waited,
        }

    def restore(self, state: dict[str, float]) -> None:
        """Go on from a state's values."""
        self.best_loss = float(state["best_loss"])
        self.best_step, self.waited = int(state["best_step"]), int(state["waited"])
