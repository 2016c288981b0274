"""sd-scripts' LoRA trainers for SDXL and SD 1.5 with our hooks.

``training_run.py`` has what a run does between its steps.
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
from .batches import derive_seed, number_batches, patch_loader_order
from .engine_state import EngineState
from .light_loading import light_loading, release_weights
from .resume import load_state
from .schedules import stretch_lengths
from .training_run import TrainingRun


class MelTraining:
    """Our hooks, for the trainers of both architectures; put before the engine's class."""

    training_run: TrainingRun
    residual: torch.Tensor | None = None
    threshold: torch.Tensor | None = None

    def train(self, args: argparse.Namespace) -> None:
        """Train, while functions of the engine without a hook are replaced."""
        engine: Any = super()
        self.engines_threshold = train_util.get_huber_threshold_if_needed
        with patches.replaced(
            train_util,
            get_huber_threshold_if_needed=self._huber_threshold,
            resume_from_local_or_hf_if_specified=self._resume_from_state,
            save_state_on_train_end=lambda *_: None,
        ):
            engine.train(args)

    def assert_extra_args(self, args: Any, train_group: Any, val_group: Any) -> None:
        """Strip separators in both dataset groups and set up the run, before anything is loaded."""
        engine: Any = super()
        engine.assert_extra_args(args, train_group, val_group)
        for group in filter(None, (train_group, val_group)):
            captions.strip_separators_in(group.datasets)
        self.training_run = TrainingRun(self, args, val_group)
        self.train_group = train_group

    def load_target_model(self, args: Any, weight_dtype: Any, accelerator: Any) -> Any:
        """Prepare batches, RUN folder and schedule in the first hook that gets the accelerator."""
        per_step = args.gradient_accumulation_steps * accelerator.num_processes
        self.batches = number_batches(self.train_group, args.seed, per_step)
        patch_loader_order(accelerator, self.batches)
        self.training_run.prepare(accelerator, self.batches)
        self.weight_dtype = weight_dtype
        self.warmup_steps = args.lr_warmup_steps
        stretch_lengths(args, accelerator.num_processes)
        engine: Any = super()
        return engine.load_target_model(args, weight_dtype, accelerator)

    def prepare_unet_with_accelerator(self, args: Any, accelerator: Any, unet: Any) -> Any:
        """Leave the UNet as it is in several CPU processes: accelerate refuses frozen networks."""
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
        """Keep the engine's dictionary, which it continues to fill, for the files that we save."""
        engine: Any = super()
        engine.update_metadata(metadata, args)
        metadata["ss_lr_warmup_steps"] = self.warmup_steps
        self.training_run.lora.metadata = metadata

    def post_process_network(
        self, args: Any, accelerator: Any, network: Any, text_encoders: Any, unet: Any
    ) -> None:
        """Replace the network's ``save_weights``, so that the last LoRA is saved like others."""
        self.network = network
        self.save_weights = network.save_weights
        patches.replace_method("network.save_weights", network, self.training_run.save_final_lora)

    def on_step_start(
        self, args: Any, accelerator: Any, network: Any, text_encoders: Any, unet: Any,
        batch: Any, weight_dtype: Any, is_train: bool = True,
    ) -> None:  # fmt: skip
        """Seed everything random in this batch's loss by the run's seed and the batch's number."""
        seed = derive_seed(args.seed, "noise", batch["number"])
        torch.manual_seed(seed)
        random.seed(seed)
        self.clips, self.loss_weights = batch["clips"], batch["loss_weights"]
        self.training_run.steps.batch_starts()

    def shift_scale_latents(self, args: Any, latents: Any) -> Any:
        """Scale latents as the engine does, then mask strips of some clips (SpecAugment)."""
        engine: Any = super()
        latents, self.unmasked = spec_augment.mask_strips(
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
        """Weight mel rows and masked places; keep the residual for the added losses."""
        engine: Any = super()
        predicted, target, timesteps, _ = engine.get_noise_pred_and_target(
            args, accelerator, noise_scheduler, latents, *rest, **named
        )
        alphas, rows = noise_scheduler.alphas_cumprod, latents.shape[-2]
        self.weighting = losses.main_loss_weight_map(rows, timesteps, alphas, args, self.unmasked)
        self.residual = (
            predicted.float() - target.float() if losses.has_added_losses(args) else None
        )
        return predicted, target, timesteps, self.weighting

    def post_process_loss(self, loss: Any, args: Any, timesteps: Any, noise_scheduler: Any) -> Any:
        """Add our losses, then weight by timestep as the engine does."""
        if self.residual is not None:
            extra = losses.weighted_added_losses(
                self.residual, timesteps, noise_scheduler.alphas_cumprod, args,
                threshold=self.threshold, weight_map=self.weighting,
            )  # fmt: skip
            loss, self.residual = loss + extra * self.loss_weights, None
        engine: Any = super()
        loss = engine.post_process_loss(loss, args, timesteps, noise_scheduler)
        if torch.is_grad_enabled():  # not in validation
            self.training_run.losses.add(self.clips, loss)
        return loss

    def sample_images(
        self, accelerator: Any, args: Any, epoch: int | None, global_step: int, device: Any,
        vae: Any, tokenizers: Any, text_encoder: Any, unet: Any,
    ) -> None:  # fmt: skip
        """Start or continue the run; called before the first step (epoch 0) and after each (None).

        The engine also calls it after each epoch, with its number: nothing is done then.
        """
        if epoch == 0:
            text_encoders = text_encoder if isinstance(text_encoder, list) else [text_encoder]
            self.training_run.training_starts(
                EngineState(
                    args, accelerator, self.network, unet, vae, text_encoders,
                    self.noise_scheduler, self.weight_dtype,
                    torch.float32 if args.no_half_vae else self.weight_dtype,
                )
            )  # fmt: skip
            if args.cache_text_encoder_outputs:
                release_weights(text_encoders)
        elif epoch is None:
            self.training_run.step_ended()

    def generate_step_logs(self, args: Any, *rest: Any, **named: Any) -> dict[str, Any]:
        """Add the Huber threshold, its mean over the batch, to the engine's figures."""
        engine: Any = super()
        logs = engine.generate_step_logs(args, *rest, **named)
        if self.threshold is not None:
            logs["huber_threshold"] = self.threshold.mean().item()
        return logs

    def step_logging(self, accelerator: Any, logs: dict, global_step: int, epoch: int) -> None:
        """Log once per step, under its true number, to the trackers and to ``metrics.jsonl``."""
        self.training_run.metrics.add_loss(logs["loss/current"])
        if accelerator.sync_gradients:
            step = self.training_run.steps.done
            if accelerator.is_main_process:
                self.training_run.metrics.write_step(step, logs)
                self.training_run.files.publish_state()
            self.log_values(accelerator, logs, step)
            if self.training_run.ends_after_logging:
                raise KeyboardInterrupt

    def log_values(self, accelerator: Any, values: dict[str, Any], step: int) -> None:
        """Log values to all trackers under a true step number."""
        engine: Any = self
        engine.accelerator_logging(
            accelerator, values, step, step, self.batches.epochs_in_steps(step)
        )

    def epoch_logging(self, *_: Any) -> None:
        """Log nothing per epoch: the engine's epochs restart after a resume."""

    def _huber_threshold(self, args: Any, timesteps: Any, noise_scheduler: Any) -> Any:
        """Our Huber threshold, or the engine's where none is set."""
        alphas, progress = noise_scheduler.alphas_cumprod, self.training_run.steps.progress
        threshold = huber.huber_threshold(args, timesteps, alphas, progress)
        if threshold is None:
            threshold = self.engines_threshold(args, timesteps, noise_scheduler)
        if torch.is_grad_enabled():  # not in validation, which has its own
            self.threshold = threshold
        return threshold

    def _resume_from_state(self, accelerator: Any, args: Any) -> None:
        """Load the state of ``--resume``, if given, and continue the run from it."""
        if args.resume:
            load_state(accelerator, Path(args.resume))
            self.training_run.resume(Path(args.resume))


class SdxlMelTrainer(MelTraining, sdxl_train_network.SdxlNetworkTrainer):
    """SDXL architecture of any width and depth."""

    def load_target_model(self, args: Any, weight_dtype: Any, accelerator: Any) -> Any:
        """Load with the sizes of the checkpoint, in little memory."""
        shapes: Any = read_architecture(Path(args.pretrained_model_name_or_path))
        with any_width.use_checkpoint_sizes(shapes), light_loading(args, weight_dtype):
            loaded = super().load_target_model(args, weight_dtype, accelerator)
        # The file holds the projection as x @ P. diffusers, which we generate with, transposes it;
        # the engine does not.
        projection: Any = loaded[1][1].text_projection.weight
        projection.data = projection.data.T.contiguous()
        return loaded


class Sd15MelTrainer(MelTraining, train_network.NetworkTrainer):
    """SD 1.5 architecture of any width."""

    def load_target_model(self, args: Any, weight_dtype: Any, accelerator: Any) -> Any:
        """Load with the sizes of the checkpoint."""
        shapes: Any = read_architecture(Path(args.pretrained_model_name_or_path))
        with any_width_sd15.use_checkpoint_sizes(shapes):
            return super().load_target_model(args, weight_dtype, accelerator)


TRAINERS = {"sdxl": SdxlMelTrainer, "sd15": Sd15MelTrainer}
