"""Train with sd-scripts alone, for comparison: ``python -m dmm_ext.stock --config_file FILE``.

The engine gets only the checkpoint's sizes, because its loader is written for one size. Writes
``stock.json`` into the output folder: seconds of every step but the first and the last,
and peak memory.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import sdxl_train_network
import torch
import train_network
from library import train_util

from dmm.checkpoints.architecture import read_architecture

from . import any_width, any_width_sd15
from .outcome import peak_memory_mb

FILE = "stock.json"


class _TimedTrainer:
    """The engine's trainer with a clock; put before the engine's class."""

    starts: list[float]

    def on_step_start(self, *rest: Any, **named: Any) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.starts.append(time.perf_counter())
        engine: Any = super()
        engine.on_step_start(*rest, **named)

    def load_target_model(self, args: Any, *rest: Any) -> Any:
        shapes: Any = read_architecture(Path(args.pretrained_model_name_or_path))
        sizes = any_width_sd15 if shapes.kind == "sd15" else any_width
        engine: Any = super()
        with sizes.use_checkpoint_sizes(shapes):
            return engine.load_target_model(args, *rest)


class _Sdxl(_TimedTrainer, sdxl_train_network.SdxlNetworkTrainer):
    pass


class _Sd15(_TimedTrainer, train_network.NetworkTrainer):
    pass


def main() -> None:
    """Train with sd-scripts by the configuration, and write ``stock.json``."""
    parser = sdxl_train_network.setup_parser()
    args = train_util.read_config_from_file(parser.parse_args(), parser)
    kind = read_architecture(Path(args.pretrained_model_name_or_path)).kind
    trainer: Any = {"sdxl": _Sdxl, "sd15": _Sd15}[kind]()
    trainer.starts = []
    trainer.train(args)
    ends = [*trainer.starts[1:], time.perf_counter()]
    seconds = [end - start for start, end in zip(trainer.starts, ends, strict=True)]
    found = {"seconds": seconds[1:-1] or seconds, "peak_memory_mb": round(peak_memory_mb())}
    Path(args.output_dir, FILE).write_text(json.dumps(found))


if __name__ == "__main__":
    sys.exit(main())
