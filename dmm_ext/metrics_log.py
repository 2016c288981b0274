"""``metrics.jsonl``: one line of JSON for each step, validation and preview."""

import json
import math
from pathlib import Path
from typing import Any

from dmm.files import read_jsonl, write_text


class MetricsLog:
    """Writer of ``metrics.jsonl``, in which no line occurs twice, also after a resume."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._losses: list[float] = []

    def delete_old_log(self) -> None:
        """Delete the log of a run in the same folder that left no state to resume."""
        self.path.unlink(missing_ok=True)

    def keep_lines_up_to(self, step: int) -> None:
        """Rewrite the log with the lines up to a step; damaged lines are dropped."""
        if self.path.is_file():
            lines = read_jsonl(self.path, finite=False, skip_damaged=True)
            kept = [json.dumps(line) + "\n" for line in lines if line.get("step", 0) <= step]
            write_text(self.path, "".join(kept))

    def add_loss(self, loss: float) -> None:
        """Add the loss of one micro-batch to the current step's mean."""
        self._losses.append(loss)

    def write_step(self, step: int, logs: dict[str, Any]) -> None:
        """Append a training step: mean loss of its micro-batches, learning rates, threshold."""
        loss = math.fsum(self._losses) / len(self._losses)
        self._losses = []
        kept = ("lr/", "huber_threshold", "norm/", "max_norm/")
        duplicate = "lr/group"  # the engine's second name for every parameter group
        values = {
            key: float(value)
            for key, value in logs.items()
            if key.startswith(kept) and not key.startswith(duplicate)
        }
        self.write(step, {"loss": loss, "loss_average": logs["loss/average"]} | values)

    def write(self, step: int, values: dict[str, Any]) -> None:
        """Append the values of a step."""
        with self.path.open("a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
