"""Comparable validation: the same clips, noise, timesteps and loss for every run.

sd-scripts validates with the training loss and the training's noise settings, so its figure moves
with the Huber threshold and cannot be compared between presets. Here every clip of the val split is
scored at the same timesteps, with noise seeded by its batch, by one Huber loss.
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

from dmm.training.trainer_constants import VALIDATION_TIMESTEPS

from .batches import derive_seed, seeded_random
from .engine_state import EngineState
from .options import loss_defaults
from .patches import changed_settings

ENGINE_SETTINGS: dict[str, Any] = {
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
"""Settings in force while validating. Besides these ``huber_c`` is ``huber_validation``, and our
own losses and SpecAugment are off."""


@torch.no_grad()
def validation_loss(engine: EngineState, trainer: Any, group: Any) -> float:
    """Mean loss over the val split's batches and ``VALIDATION_TIMESTEPS``; lower is better.

    At most ``max_validation_steps`` batches, shared between processes. The network is in evaluation
    mode meanwhile; torch's and Python's random states are restored.
    """
    accelerator, args = engine.accelerator, engine.args
    flags = {
        "train_text_encoder": trainer.is_train_text_encoder(args),
        "train_unet": not args.network_train_text_encoder_only,
    }
    count = min(len(group), args.max_validation_steps or len(group))
    losses = torch.zeros(2, device=accelerator.device)
    with fixed_loss_settings(args), evaluation_mode(engine.network), torch.random.fork_rng():
        for number in range(accelerator.process_index, count, accelerator.num_processes):
            with seeded_random("validation", number):
                batch = send_to_device(group[number], accelerator.device)
            for timestep in VALIDATION_TIMESTEPS:
                torch.manual_seed(derive_seed("validation", number, timestep))
                args.min_timestep = args.max_timestep = timestep
                loss = trainer.process_batch(
                    batch, *_process_batch_arguments(engine), is_train=False, **flags
                )
                losses += torch.stack([loss.detach(), torch.ones_like(loss)])
    total, scored = accelerator.reduce(losses, reduction="sum").tolist()
    return total / scored


def validation_fingerprint(args: argparse.Namespace, group: Any) -> str:
    """Hash of the clips and settings of a validation; losses with equal hashes are comparable.

    Clips count by file name and size, in any folder; settings are batches and Huber threshold.
    """
    infos = [info for dataset in group.datasets for info in dataset.image_data.values()]
    files = [Path(info.absolute_path) for info in infos]
    clips = sorted((file.name, file.stat().st_size) for file in files)
    words = repr((clips, args.max_validation_steps, args.huber_validation))
    return hashlib.sha256(words.encode()).hexdigest()


def _process_batch_arguments(engine: EngineState) -> tuple[Any, ...]:
    """The engine's arguments of ``process_batch`` between the batch and its flags."""
    return (
        engine.text_encoders,
        engine.unet,
        engine.network,
        engine.vae,
        engine.noise_scheduler,
        engine.vae_dtype,
        engine.weight_dtype,
        engine.accelerator,
        engine.args,
        strategy_base.TextEncodingStrategy.get_strategy(),
        strategy_base.TokenizeStrategy.get_strategy(),
    )


@contextmanager
def fixed_loss_settings(args: argparse.Namespace) -> Iterator[None]:
    """Within the block the loss is the one that all runs are validated with."""
    fixed = {**loss_defaults(), **ENGINE_SETTINGS, "huber_c": args.huber_validation}
    timesteps = {"min_timestep": args.min_timestep, "max_timestep": args.max_timestep}
    with changed_settings(args, **fixed, **timesteps):  # timesteps only to be restored
        yield


@contextmanager
def evaluation_mode(network: Any) -> Iterator[None]:
    """Within the block the network is in evaluation mode: its dropouts are off."""
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)


@dataclass
class EarlyStop:
    """Tracks the best validation loss; ``patience`` None never stops."""

    patience: int | None
    min_delta: float = 0.0
    best_loss: float = float("inf")
    best_step: int = 0
    waited: int = 0

    def update(self, step: int, loss: float) -> bool:
        """Record a validation; returns whether it is the best so far by more than ``min_delta``."""
        if loss >= self.best_loss - self.min_delta:
            self.waited += 1
            return False
        self.best_loss, self.best_step, self.waited = loss, step, 0
        return True

    @property
    def should_stop(self) -> bool:
        """Whether ``patience`` validations in a row brought no improvement."""
        return self.patience is not None and self.waited >= self.patience

    def state(self) -> dict[str, float]:
        """The values to save for a resume."""
        return {
            "best_loss": self.best_loss,
            "best_step": self.best_step,
            "waited": self.waited,
        }

    def restore(self, state: dict[str, float]) -> None:
        """Continue from a state's values."""
        self.best_loss = float(state["best_loss"])
        self.best_step, self.waited = int(state["best_step"]), int(state["waited"])
