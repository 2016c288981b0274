"""One training run: what happens before the first step, after each step, and at the end.

The engine calls back once per step. Averaging, validation, previews, saving and stopping are done
here at true step numbers, because the engine's own counters restart after a resume.
"""

import argparse
import logging
from pathlib import Path
from typing import Any

from .batches import BatchNumbers
from .ema import Ema
from .engine_state import EngineState
from .finite import StepLosses, require_finite_weights
from .intervals import disable_engine_intervals, is_due
from .lora_file import LoraFile
from .metrics_log import MetricsLog
from .patches import replace_method
from .resume import one_line_reading_errors, read_state_record
from .run_files import RunFiles
from .steps import StepCounter
from .stopping import Stopping
from .validation import EarlyStop, validation_fingerprint, validation_loss

logger = logging.getLogger(__name__)
CHATTY = ("accelerate", "library.train_util", "train_network")
"""Loggers that print a line for every file of a state and for every epoch."""
FINGERPRINT = "yardstick"
"""Key of the validation fingerprint in ``dmm_state.json``."""


class TrainingRun:
    """State and files of one run; the hooks of ``trainer`` call it."""

    engine: EngineState
    accelerator: Any
    batches: BatchNumbers

    def __init__(self, trainer: Any, args: argparse.Namespace, val_group: Any) -> None:
        self.trainer, self.args, self.val_group = trainer, args, val_group
        self.folder = Path(args.output_dir)
        self.intervals = disable_engine_intervals(args)
        self.steps = StepCounter(args)
        self.stopping = Stopping()
        self.losses = StepLosses()
        self.metrics = MetricsLog(self.folder / "metrics.jsonl")
        self.files = RunFiles(self.folder, args.output_name, args.save_last_n_steps_state)
        self.early_stop = EarlyStop(args.early_stop_patience, args.early_stop_min_delta)
        self.fingerprint = validation_fingerprint(args, val_group) if val_group else None
        self.lora = LoraFile(trainer, args, self.steps, self.intervals)
        self.ema: Ema | None = None
        self.previews: Any = None
        self.resumed_from: Path | None = None
        self.state_record: dict[str, Any] = {}
        self.ends_after_logging = False

    def prepare(self, accelerator: Any, batches: BatchNumbers) -> None:
        """Handle signals and clean the RUN folder, before any model is loaded."""
        self.accelerator, self.batches = accelerator, batches
        self.lora.batches = batches
        self.stopping.catch_signals()
        if accelerator.is_main_process:
            self.files.remove_partial_files()
            if not self.args.resume:
                self.metrics.delete_old_log()

    def resume(self, state: Path) -> None:
        """Continue from a loaded state: its counts, order of batches and best weights."""
        self.resumed_from = state
        self.steps.restore(state, self.files.final_lora_path.is_file())
        self.batches.position = self.steps.restored * self.batches.batches_per_step
        if self.accelerator.is_main_process:
            self.files.restore_best_weights(state)
            self.metrics.keep_lines_up_to(self.steps.restored)
        self.state_record = read_state_record(state)
        if self.state_record.get(FINGERPRINT, self.fingerprint) == self.fingerprint:
            saved = self.state_record.get("early_stop")
            self.early_stop.restore(saved or self.early_stop.state())
        elif self.accelerator.is_main_process:
            logger.warning("validation uses other clips or settings: the best so far is discarded")
            self.files.best.unlink(missing_ok=True)

    def training_starts(self, engine: EngineState) -> None:
        """Set up averaging and previews; a new run validates and previews the base first."""
        self.engine = engine
        if self.args.ema_decay:
            self.ema = self.lora.ema = Ema(engine.network, self.args.ema_decay)
            if self.resumed_from:
                with one_line_reading_errors(self.resumed_from):
                    self.ema.load(self.resumed_from, self.steps.restored)
        if self.val_group and self.intervals.validate and not self.resumed_from:
            self._log_validation_loss()
        if self.intervals.preview:
            from .previews import Previews  # imports an embedder

            self.previews = Previews(engine, self.trainer, self.folder / "previews")
            if self.resumed_from:
                saved = self.state_record.get("collapse")
                self.previews.restore(saved or self.previews.state())
            else:
                self._make_preview()
        for name in CHATTY:
            logging.getLogger(name).setLevel(logging.WARNING)
        self.stopping.finish_step_on_signal()

    def step_ended(self) -> None:
        """After an optimizer step: average, validate, preview, save and stop where due."""
        self.steps.step_ended()
        self.losses.require_finite_and_clear(self.accelerator, self.steps.done)
        if self.ema:
            self.ema.update()
        step, last, every = self.steps.done, self.steps.done >= self.steps.total, self.intervals
        if self.val_group and (is_due(step, every.validate) or (last and every.validate)):
            self._validate_and_keep_best()
        if is_due(step, every.preview) or (last and every.preview):
            self._make_preview()
        stop = self.stopping.agree_on_end(self.accelerator)
        self._save_where_due(is_due(step, every.save), last or stop)
        if stop:
            self._end_training()

    def _log_validation_loss(self) -> float:
        """Compute and log the validation loss at this step."""
        with self.lora.with_averaged_weights():
            loss = validation_loss(self.engine, self.trainer, self.val_group)
        if self.accelerator.is_main_process:
            self.metrics.write(self.steps.done, {"validation_loss": loss})
            self.trainer.log_values(self.accelerator, {"loss/validation": loss}, self.steps.done)
        return loss

    def _validate_and_keep_best(self) -> None:
        """Validate, save the best weights, and request an end by early stopping."""
        loss = self._log_validation_loss()
        is_best = self.early_stop.update(self.steps.done, loss)
        if is_best and self.accelerator.is_main_process:
            require_finite_weights(self.engine.network, self.steps.done)
            self.lora.save(self.files.best)
        if self.early_stop.should_stop:
            self.stopping.request(
                "stopped",
                f"no better validation loss than {self.early_stop.best_loss:.5f} of step "
                f"{self.early_stop.best_step} in {self.early_stop.waited} validations",
            )

    def _make_preview(self) -> None:
        """Generate and score a preview on the main process; it may request an end."""
        if self.previews and self.accelerator.is_main_process:
            with self.lora.with_averaged_weights():
                scores = self.previews.make_preview(self.steps.done)
            self.metrics.write(self.steps.done, scores)
            if reason := self.previews.reason_to_stop():
                self.stopping.request("stopped", reason)
        self.accelerator.wait_for_everyone()

    def _save_where_due(self, lora_due: bool, ending: bool) -> None:
        """Save this step's LoRA and a state where due; after ctrl-C a state in any case.

        The state has a part name until the step is logged: a resume from it logs later steps only.
        """
        args = self.args
        if lora_due or ending:
            require_finite_weights(self.engine.network, self.steps.done)
        if lora_due and self.accelerator.is_main_process:
            self.lora.save(self.files.lora_path_of_step(self.steps.done))
        keeps_states = args.save_state or (ending and args.save_state_on_train_end)
        if (keeps_states and (lora_due or ending)) or self.stopping.status == "interrupted":
            self.files.write_state(
                self.accelerator, self.steps.done, self._state_record(), self._save_average
            )

    def _state_record(self) -> dict[str, Any]:
        """Facts that a resume needs, as JSON values."""
        return {
            "step": self.steps.done,
            "total": self.steps.total,
            "early_stop": self.early_stop.state(),
            FINGERPRINT: self.fingerprint,
            "collapse": self.previews.state() if self.previews else None,
        }

    def _save_average(self, folder: Path) -> None:
        if self.ema:
            self.ema.save(folder)

    def _end_training(self) -> None:
        """End at once after logging if interrupted; otherwise let the engine end as usual."""
        if self.stopping.status == "interrupted":
            if not self.accelerator.is_main_process:
                raise KeyboardInterrupt
            self.ends_after_logging = True  # after the step is logged
            return
        self.args.max_train_steps = self.steps.since_resume
        self.batches.stopped = True
        self.accelerator.print(f"\nstopping at step {self.steps.done}: {self.stopping.reason}")
        replace_method("accelerator.print", self.accelerator, lambda *_, **__: None)

    def save_final_lora(self, file: str, dtype: Any, metadata: dict[str, str]) -> None:
        """Save the last weights, or with early stopping the best ones.

        Called in place of the network's own ``save_weights``, whose arguments it takes.
        """
        best = self.files.best
        if self.early_stop.patience is not None and best.is_file():
            self.lora.copy_as_final(best, Path(file))
        else:
            self.lora.save(Path(file))

    def outcome(self) -> dict[str, Any]:
        """Status, steps, best validation and speed of the run, for ``outcome.json``."""
        validated = self.early_stop.best_step > 0
        return {
            "status": self.stopping.status,
            "reason": self.stopping.reason,
            "step": self.steps.done,
            "best_step": self.early_stop.best_step if validated else None,
            "best_validation_loss": self.early_stop.best_loss if validated else None,
            "seconds_per_step": self.steps.median_seconds(),
        }
