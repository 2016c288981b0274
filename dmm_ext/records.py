"""One line of JSON per optimizer step: loss, learning rates, Huber threshold."""

import json
from pathlib import Path
from typing import Any


class Records:
    """``metrics.jsonl``, appended to; after a resume, lines past the restored step are dropped."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rewind(self, step: int) -> None:
        """Keep only the lines up to a step, so that a resumed run has each step once."""
        if self.path.is_file():
            lines = self.path.read_text().splitlines(keepends=True)
            self.path.write_text("".join(x for x in lines if json.loads(x)["step"] <= step))

    def write(self, step: int, values: dict[str, Any]) -> None:
        """Append one step."""
        numbers = {key: float(value) for key, value in values.items()}
        with self.path.open("a") as file:
            file.write(json.dumps({"step": step, **numbers}) + "\n")
