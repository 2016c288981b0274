"""``metrics.jsonl``: one line of JSON for each step, validation and preview."""

import json
import math
from pathlib import Path
from typing import Any

from dmm.files import write_text


class Records:
    """Appended to; after a resume, lines past the restored step are dropped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._losses: list[float] = []

    def begin(self) -> None:
        """Forget a run in the same folder that left no state to resume."""
        self.path.unlink(missing_ok=True)

    def rewind(self, step: int) -> None:
        """Keep only the lines up to a step, so that a resumed run has each step once."""
        if self.path.is_file():
            lines = self.path.read_text().splitlines(keepends=True)
            kept = [line for line in lines if line.endswith("\n") and _step(line) <= step]
            write_text(self.path, "".join(kept))

    def hear(self, loss: float) -> None:
        """The loss of one micro-batch of the running step."""
        self._losses.append(loss)

    def write_step(self, step: int, logs: dict[str, Any]) -> None:
        """Append a training step: the mean loss of its micro-batches, rates, threshold."""
        loss = math.fsum(self._losses) / len(self._losses)
        self._losses = []
        kept = ("lr/", "huber_threshold", "norm/", "max_norm/")
        again = "lr/group"  # the engine names every group once more so
        values = {
            key: float(value)
            for key, value in logs.items()
            if key.startswith(kept) and not key.startswith(again)
        }
        self.write(step, {"loss": loss, "loss_average": logs["loss/average"]} | values)

    def write(self, step: int, values: dict[str, Any]) -> None:
        """Append what was measured at a step."""
        with self.path.open("a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")


def _step(line: str) -> int:
    return json.loads(line)["step"]
