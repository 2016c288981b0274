"""The course of a training: what happens before the first step, after each, and at the end.

The engine calls back once a step; averaging, validation, previews, saving and stopping are done
here at true step numbers, because the engine's own counters start again after a resume.
"""

import argparse
import logging
from pathlib import Path
from typing import Any

from .cadence import due, take_over
from .checkpoints import Checkpoints
from .ema import Ema
from .engine_state import Parts
from .finite import StepLosses, check_weights
from .lora_file import LoraFile
from .patches import replace_method
from .records import Records
from .resume import read_facts, readable
from .steps import Steps
from .stopping import Stopping
from .stream import Stream
from .validation import EarlyStop, validation_loss, yardstick

logger = logging.getLogger(__name__)
CHATTY = ("accelerate", "library.train_util", "train_network")
"""Loggers with a line for every file of a state and for every turn through the data."""


class Course:
    """One run's bookkeeping; ``trainer`` is whose hooks call it."""

    parts: Parts
    accelerator: Any
    stream: Stream

    def __init__(self, trainer: Any, args: argparse.Namespace, val_group: Any) -> None:
        self.trainer, self.args, self.val_group = trainer, args, val_group
        self.run = Path(args.output_dir)
        self.every = take_over(args)
        self.steps = Steps(args)
        self.stopping = Stopping()
        self.losses = StepLosses()
        self.records = Records(self.run / "metrics.jsonl")
        self.checkpoints = Checkpoints(self.run, args.output_name, args.save_last_n_steps_state)
        self.early_stop = EarlyStop(args.early_stop_patience, args.early_stop_min_delta)
        self.yardstick = yardstick(args, val_group) if val_group else None
        self.lora = LoraFile(trainer, args, self.steps, self.every)
        self.ema: Ema | None = None
        self.previews: Any = None
        self.resumed_from: Path | None = None
        self.saved: dict[str, Any] = {}
        self.leaving = False

    def begin(self, accelerator: Any, stream: Stream) -> None:
        """The accelerator is there; nothing is loaded yet."""
        self.accelerator, self.stream = accelerator, stream
        self.lora.stream = stream
        self.stopping.listen()
        if accelerator.is_main_process:
            self.checkpoints.sweep()
            if not self.args.resume:
                self.records.begin()

    def resume(self, state: Path) -> None:
        """A state was loaded: go on with its counts, order of batches and best weights."""
        self.resumed_from = state
        self.steps.restore(state)
        self.stream.position = self.steps.restored * self.stream.batches_per_step
        if self.accelerator.is_main_process:
            self.checkpoints.take_back(state)
            self.records.rewind(self.steps.restored)
        self.saved = read_facts(state)
        if self.saved.get("yardstick", self.yardstick) == self.yardstick:
            self.early_stop.restore(self.saved.get("early_stop") or self.early_stop.state())
        elif self.accelerator.is_main_process:
            logger.warning("validation is by other clips or settings: the best so far is forgotten")
            self.checkpoints.best.unlink(missing_ok=True)

    def training_begins(self, parts: Parts) -> None:
        """Everything is loaded; a first preview shows the base."""
        self.parts = parts
        if self.args.ema_decay:
            self.ema = self.lora.ema = Ema(parts.network, self.args.ema_decay)
            if self.resumed_from:
                with readable(self.resumed_from):
                    self.ema.load(self.resumed_from, self.steps.restored)
        if self.every.preview:
            from .previews import Previews  # brings an embedder with it

            self.previews = Previews(parts, self.trainer, self.run / "previews")
            if self.resumed_from:
                self.previews.restore(self.saved.get("collapse") or self.previews.state())
            else:
                self._preview()
        for name in CHATTY:
            logging.getLogger(name).setLevel(logging.WARNING)
        self.stopping.training_begins()

    def step_ends(self) -> None:
        """An optimizer step is through."""
        self.steps.finish()
        self.losses.check(self.accelerator, self.steps.done)
        if self.ema:
            self.ema.update()
        step, last = self.steps.done, self.steps.done >= self.steps.total
        if self.val_group and (due(step, self.every.validate) or (last and self.every.validate)):
            self._validate()
        if due(step, self.every.preview) or (last and self.every.preview):
            self._preview()
        stop = self.stopping.agreed(self.accelerator)
        self._save(due(step, self.every.save), last or stop)
        if stop:
            self._stop()

    def _validate(self) -> None:
        with self.lora.weights_to_use():
            loss = validation_loss(self.parts, self.trainer, self.val_group)
        step = self.steps.done
        best = self.early_stop.hear(step, loss)
        if self.accelerator.is_main_process:
            self.records.write(step, {"validation_loss": loss})
            self.trainer.log(self.accelerator, {"loss/validation": loss}, step)
            if best:
                check_weights(self.parts.network, step)
                self.lora.save(self.checkpoints.best)
        if self.early_stop.is_over:
            self.stopping.ask(
                "stopped",
                f"no better validation loss than {self.early_stop.best_loss:.5f} of step "
                f"{self.early_stop.best_step} in {self.early_stop.waited} validations",
            )

    def _preview(self) -> None:
        if self.previews and self.accelerator.is_main_process:
            with self.lora.weights_to_use():
                scores = self.previews.draw(self.steps.done)
            self.records.write(self.steps.done, scores)
            if reason := self.previews.reason_to_stop():
                self.stopping.ask("stopped", reason)
        self.accelerator.wait_for_everyone()

    def _save(self, lora_due: bool, ending: bool) -> None:
        """The LoRA of this step and a state; after ctrl-C a state in any case."""
        args = self.args
        if lora_due or ending:
            check_weights(self.parts.network, self.steps.done)
        if lora_due and self.accelerator.is_main_process:
            self.lora.save(self.checkpoints.step_file(self.steps.done))
        keeps_states = args.save_state or (ending and args.save_state_on_train_end)
        if (keeps_states and (lora_due or ending)) or self.stopping.status == "interrupted":
            self.checkpoints.save_state(
                self.accelerator, self.steps.done, self._facts(), self._add_to_state
            )

    def _facts(self) -> dict[str, Any]:
        alarm = self.previews.state() if self.previews else None
        return {
            "step": self.steps.done,
            "total": self.steps.total,
            "early_stop": self.early_stop.state(),
            "yardstick": self.yardstick,
            "collapse": alarm,
        }

    def _add_to_state(self, folder: Path) -> None:
        if self.ema:
            self.ema.save(folder)

    def _stop(self) -> None:
        """Leave soon when interrupted; else let the engine end as after its last step."""
        if self.stopping.status == "interrupted":
            if not self.accelerator.is_main_process:
                raise KeyboardInterrupt
            self.leaving = True  # when the step is logged
            return
        self.args.max_train_steps = self.steps.since
        self.stream.stopped = True
        self.accelerator.print(f"\nstopping at step {self.steps.done}: {self.stopping.reason}")
        replace_method("accelerator.print", self.accelerator, lambda *_, **__: None)

    def save_last(self, file: str, dtype: Any, metadata: dict[str, str]) -> None:
        """In place of the network's own saving: the best weights if we looked for them."""
        best = self.checkpoints.best
        if self.early_stop.patience is not None and best.is_file():
            self.lora.copy(best, Path(file))
        else:
            self.lora.save(Path(file))

    def outcome(self) -> dict[str, Any]:
        """How the run went, for ``run.json``."""
        found = self.early_stop.best_step > 0
        return {
            "status": self.stopping.status,
            "reason": self.stopping.reason,
            "step": self.steps.done,
            "best_step": self.early_stop.best_step if found else None,
            "best_validation_loss": self.early_stop.best_loss if found else None,
            "seconds_per_step": self.steps.median_seconds(),
        }
