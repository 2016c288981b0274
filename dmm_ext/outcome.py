"""``outcome.json`` in the RUN folder: how a training ended, for the launcher."""

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

import torch

from dmm.devices import device_name
from dmm.files import write_text


def write_outcome(run: Path, outcome: dict[str, Any]) -> None:
    """Write ``outcome.json`` with peak memory and device, unless another process knows more.

    Of several processes the first one writes, and any that knows why the training failed: the
    first may only have seen that another one was gone.
    """
    path = run / "outcome.json"
    knows_failure = outcome["status"] == "failed" and outcome["reason"]
    is_first = os.environ.get("RANK", "0") == "0"
    if not knows_failure and (not is_first or (outcome["status"] == "failed" and path.is_file())):
        return
    values = {**outcome, "peak_memory_mb": round(peak_memory_mb()), "device": device_name()}
    write_text(path, json.dumps(values, indent=2) + "\n")


def peak_memory_mb() -> float:
    """Peak memory in MiB: reserved on the GPU if there is one, else of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_reserved() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
