"""The LoRA trainers of sd-scripts with our hooks.

What a run does between its steps is in ``course.py``.
"""

import argparse
import random
from pathlib import Path
from typing import Any

import sdxl_train_network
import torch
import train_network
from library import train_util

from dmm.checkpoints.architecture import read_architecture

from . import any_width, any_width_sd15, captions, huber, losses, patches, spec_augment
from .engine_state import Parts
from .resume import load_state
from .stream import as_stream, load_by_stream, seed_of
from .training_run import Course


class MelTraining:
    """What both architectures' trainers get; stands before the engine's class."""

    course: Course
    residual: torch.Tensor | None = None
    threshold: torch.Tensor | None = None

    def train(self, args: argparse.Namespace) -> None:
        """Train with the engine's functions that have no hook replaced meanwhile."""
        engine: Any = super()
        self.engines_threshold = train_util.get_huber_threshold_if_needed
        with patches.replaced(
            train_util,
            get_huber_threshold_if_needed=self._threshold,
            resume_from_local_or_hf_if_specified=self._resume,
            save_state_on_train_end=lambda *_: None,
        ):
            engine.train(args)

    def assert_extra_args(self, args: Any, train_group: Any, val_group: Any) -> None:
        """Both dataset groups pass here before anything is loaded."""
        engine: Any = super()
        engine.assert_extra_args(args, train_group, val_group)
        for group in filter(None, (train_group, val_group)):
            captions.anchor(group.datasets)
        self.course = Course(self, args, val_group)
        self.train_group = train_group

    def load_target_model(self, args: Any, weight_dtype: Any, accelerator: Any) -> Any:
        """The accelerator is first seen here, before the engine prepares anything with it."""
        per_step = args.gradient_accumulation_steps * accelerator.num_processes
        self.stream = as_stream(self.train_group, args.seed, per_step)
        load_by_stream(accelerator, self.stream)
        self.course.begin(accelerator, self.stream)
        self.weight_dtype = weight_dtype
        self.warmup_steps = args.lr_warmup_steps
        if isinstance(args.lr_warmup_steps, int):  # a schedule takes a step for each process
            args.lr_warmup_steps *= accelerator.num_processes
        engine: Any = super()
        return engine.load_target_model(args, weight_dtype, accelerator)

    def prepare_unet_with_accelerator(self, args: Any, accelerator: Any, unet: Any) -> Any:
        """In several CPU processes accelerate would miss weights to train in the frozen UNet."""
        if accelerator.device.type == "cpu" and accelerator.num_processes > 1:
            return unet
        engine: Any = super()
        return engine.prepare_unet_with_accelerator(args, accelerator, unet)

    def get_noise_scheduler(self, args: Any, device: Any) -> Any:
        """Keep the engine's scheduler for validation and previews."""
        engine: Any = super()
        self.noise_scheduler = engine.get_noise_scheduler(args, device)
        return self.noise_scheduler

    def update_metadata(self, metadata: dict[str, Any], args: Any) -> None:
        """Keep the engine's own dictionary, which it goes on filling, for files saved by us."""
        engine: Any = super()
        engine.update_metadata(metadata, args)
        metadata["ss_lr_warmup_steps"] = self.warmup_steps
        self.course.lora.metadata = metadata

    def post_process_network(
        self, args: Any, accelerator: Any, network: Any, text_encoders: Any, unet: Any
    ) -> None:
        """Every LoRA, the engine's last one too, is saved by us."""
        self.network = network
        self.save_weights = network.save_weights
        patches.replace_method("network.save_weights", network, self.course.save_last)

    def on_step_start(
        self, args: Any, accelerator: Any, network: Any, text_encoders: Any, unet: Any,
        batch: Any, weight_dtype: Any, is_train: bool = True,
    ) -> None:  # fmt: skip
        """All that is random in this batch's loss follows from the seed and its number."""
        seed = seed_of(args.seed, "noise", batch["number"])
        torch.manual_seed(seed)
        random.seed(seed)
        self.clips, self.loss_weights = batch["clips"], batch["loss_weights"]
        self.course.steps.begin()

    def shift_scale_latents(self, args: Any, latents: Any) -> Any:
        """Hide strips of some clips, if asked for."""
        engine: Any = super()
        latents, self.seen = spec_augment.mask(
            engine.shift_scale_latents(args, latents),
            args.spec_augment,
            args.spec_augment_time,
            args.spec_augment_mel,
        )
        return latents

    def get_noise_pred_and_target(
        self, args: Any, accelerator: Any, noise_scheduler: Any, latents: Any, *rest: Any,
        **named: Any,
    ) -> Any:  # fmt: skip
        """Weigh mel rows and hidden places; keep what the spectrogram losses look at."""
        engine: Any = super()
        found, target, timesteps, _ = engine.get_noise_pred_and_target(
            args, accelerator, noise_scheduler, latents, *rest, **named
        )
        alphas, rows = noise_scheduler.alphas_cumprod, latents.shape[-2]
        self.weighting = losses.weighting(rows, timesteps, alphas, args, self.seen)
        self.residual = found.float() - target.float() if losses.is_on(args) else None
        return found, target, timesteps, self.weighting

    def post_process_loss(self, loss: Any, args: Any, timesteps: Any, noise_scheduler: Any) -> Any:
        """Add the spectrogram losses, then weigh by timestep as the engine does."""
        if self.residual is not None:
            extra = losses.extra_loss(
                self.residual, timesteps, noise_scheduler.alphas_cumprod, args,
                threshold=self.threshold, weighting=self.weighting,
            )  # fmt: skip
            loss, self.residual = loss + extra * self.loss_weights, None
        engine: Any = super()
        loss = engine.post_process_loss(loss, args, timesteps, noise_scheduler)
        if torch.is_grad_enabled():  # not in validation
            self.course.losses.hear(self.clips, loss)
        return loss

    def sample_images(
        self, accelerator: Any, args: Any, epoch: int | None, global_step: int, device: Any,
        vae: Any, tokenizers: Any, text_encoder: Any, unet: Any,
    ) -> None:  # fmt: skip
        """Called before the first step (epoch 0), after each step (None) and each epoch."""
        if epoch == 0:
            text_encoders = text_encoder if isinstance(text_encoder, list) else [text_encoder]
            self.course.training_begins(
                Parts(
                    args, accelerator, self.network, unet, vae, text_encoders,
                    self.noise_scheduler, self.weight_dtype,
                    torch.float32 if args.no_half_vae else self.weight_dtype,
                )
            )  # fmt: skip
        elif epoch is None:
            self.course.step_ends()

    def generate_step_logs(self, args: Any, *rest: Any, **named: Any) -> dict[str, Any]:
        """Add the threshold in force, its mean over the batch, to the engine's own figures."""
        engine: Any = super()
        logs = engine.generate_step_logs(args, *rest, **named)
        if self.threshold is not None:
            logs["huber_threshold"] = self.threshold.mean().item()
        return logs

    def step_logging(self, accelerator: Any, logs: dict, global_step: int, epoch: int) -> None:
        """Log once a step, under its true number, to the trackers and to ``metrics.jsonl``."""
        self.course.records.hear(logs["loss/current"])
        if accelerator.sync_gradients:
            step = self.course.steps.done
            if accelerator.is_main_process:
                self.course.records.write_step(step, logs)
            self.log(accelerator, logs, step)
            if self.course.leaving:
                raise KeyboardInterrupt

    def log(self, accelerator: Any, values: dict[str, Any], step: int) -> None:
        """Values to all trackers at a true step, each in the way that it counts."""
        engine: Any = self
        engine.accelerator_logging(accelerator, values, step, step, self.stream.turns(step))

    def epoch_logging(self, *_: Any) -> None:
        """Nothing: the engine counts epochs anew after a resume, and steps say all."""

    def _threshold(self, args: Any, timesteps: Any, noise_scheduler: Any) -> Any:
        alphas, progress = noise_scheduler.alphas_cumprod, self.course.steps.progress
        found = huber.threshold(args, timesteps, alphas, progress)
        if found is None:
            found = self.engines_threshold(args, timesteps, noise_scheduler)
        if torch.is_grad_enabled():  # validation has one of its own
            self.threshold = found
        return found

    def _resume(self, accelerator: Any, args: Any) -> None:
        if args.resume:
            load_state(accelerator, Path(args.resume))
            self.course.resume(Path(args.resume))


class SdxlMelTrainer(MelTraining, sdxl_train_network.SdxlNetworkTrainer):
    """SDXL architecture of any width and depth."""

    def load_target_model(self, args: Any, weight_dtype: Any, accelerator: Any) -> Any:
        """Load with the checkpoint's own sizes."""
        shapes: Any = read_architecture(Path(args.pretrained_model_name_or_path))
        with any_width.sizes_of(shapes):
            loaded = super().load_target_model(args, weight_dtype, accelerator)
        # The file keeps the projection as x @ P and the engine does not transpose it; diffusers,
        # with which we generate, does.
        projection: Any = loaded[1][1].text_projection.weight
        projection.data = projection.data.T.contiguous()
        return loaded


class Sd15MelTrainer(MelTraining, train_network.NetworkTrainer):
    """SD 1.5 architecture of any width."""

    def load_target_model(self, args: Any, weight_dtype: Any, accelerator: Any) -> Any:
        """Load with the checkpoint's own sizes."""
        shapes: Any = read_architecture(Path(args.pretrained_model_name_or_path))
        with any_width_sd15.sizes_of(shapes):
            return super().load_target_model(args, weight_dtype, accelerator)


TRAINERS = {"sdxl": SdxlMelTrainer, "sd15": Sd15MelTrainer}
