"""What our trainer costs beside stock sd-scripts: ``python benchmarks/train_overhead.py``.

The same LoRA on nano, 16 random images of 256 x 256, latents cached, previews and validation
off: once by sd-scripts' own trainer (given nano's sizes, which it cannot read, and nothing else)
and once by ours, each in a process of its own, in turn. CPU seconds of the process between two
steps' starts, the first three left out. Prints the head and one Markdown row: date, commit,
machine, steps of each, median ms a step of both with the range of the rounds' medians, the median
ratio of the pairs with its range, and the peak memory of both. ``--everything`` also turns
averaging and all spectrogram losses on.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import toml
from PIL import Image

from dmm.architecture import read_architecture
from dmm.engine import engine_environment, find_engine
from dmm.tokenizers import tokenizer_folder

NANO = Path(__file__).parents[1] / "models" / "nano" / "nano.safetensors"
HEADER = (
    "| date | commit | machine | steps | stock ms | ours ms | ours / stock | stock MB | ours MB |"
    "\n|" + "---|" * 9
)
SKIPPED = 3
EVERYTHING = {
    "ema_decay": 0.999, "gradient_weight": 0.5, "multires_weight": 0.5, "mel_tilt": 0.5,
    "spec_augment": 0.5,
}  # fmt: skip


def prepare(folder: Path, steps: int, extra: dict[str, Any]) -> None:
    """A dataset of noise and the engine's configuration."""
    rng = np.random.default_rng(0)
    (folder / "train").mkdir()
    for i in range(16):
        Image.fromarray(rng.integers(0, 256, (256, 256), dtype=np.uint8)).save(
            folder / "train" / f"{i}.png"
        )
        (folder / "train" / f"{i}.txt").write_text("piano, slow, dark")
    subset = {"image_dir": str(folder / "train"), "num_repeats": 1}
    general = {"resolution": 256, "caption_extension": ".txt", "shuffle_caption": True}
    config = {"general": general, "datasets": [{"batch_size": 2, "subsets": [subset]}]}
    (folder / "dataset.toml").write_text(toml.dumps(config))
    settings = {
        "pretrained_model_name_or_path": str(NANO), "dataset_config": str(folder / "dataset.toml"),
        "output_dir": str(folder / "out"), "logging_dir": str(folder / "logs"),
        "log_with": "tensorboard", "output_name": "lora", "v_parameterization": True,
        "tokenizer_cache_dir": str(tokenizer_folder(read_architecture(NANO).vocab_size)),
        "network_module": "networks.lora", "network_dim": 16, "network_alpha": 16,
        "network_train_unet_only": True, "loss_type": "huber", "huber_schedule": "constant",
        "min_snr_gamma": 5.0, "noise_offset": 0.0357, "learning_rate": 1e-4,
        "optimizer_type": "AdamW",
        "lr_scheduler": "cosine", "lr_warmup_steps": 2, "max_train_steps": steps,
        "train_batch_size": 2, "cache_latents": True, "no_half_vae": True, "seed": 0, "sdpa": True,
        "mixed_precision": "no", "max_data_loader_n_workers": 0, "save_model_as": "safetensors",
        **extra,
    }  # fmt: skip
    (folder / "engine.toml").write_text(toml.dumps(settings))


def train_one(config: Path, kind: str) -> None:
    """In the engine's process: train and print step times and peak memory as JSON."""
    import resource

    import sdxl_train_network
    from library import train_util

    from dmm_ext import any_width
    from dmm_ext.process import setup_parser
    from dmm_ext.trainer import SdxlMelTrainer

    class Stock(sdxl_train_network.SdxlNetworkTrainer):
        def load_target_model(self, args: Any, *rest: Any) -> Any:
            with any_width.sizes_of(read_architecture(NANO)):  # type: ignore[arg-type]
                return super().load_target_model(args, *rest)

    trainer: Any = Stock() if kind == "stock" else SdxlMelTrainer()
    stamps: list[float] = []
    step = trainer.on_step_start

    def on_step_start(*rest: Any, **named: Any) -> None:
        stamps.append(time.process_time())
        step(*rest, **named)

    trainer.on_step_start = on_step_start
    parser = setup_parser() if kind == "ours" else sdxl_train_network.setup_parser()
    sys.argv = ["train", "--config_file", str(config)]
    args = train_util.read_config_from_file(parser.parse_args(), parser)
    trainer.train(args)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    Path(args.output_dir, f"{kind}.json").write_text(
        json.dumps({"seconds": list(np.diff(stamps)), "peak_mb": peak})
    )


def measure(kind: str, steps: int, extra: dict[str, Any]) -> dict[str, Any]:
    """Train once in a fresh process; returns its step times in seconds and its peak memory."""
    environment = engine_environment(find_engine()) | {"OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), steps, extra if kind == "ours" else {})
        command = [sys.executable, __file__, "--one", kind, str(Path(folder, "engine.toml"))]
        subprocess.run(command, env=environment, check=True, capture_output=True)
        return json.loads(Path(folder, "out", f"{kind}.json").read_text())


def main() -> None:
    """Measure in turn and print the row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--everything", action="store_true")
    parser.add_argument("--one", nargs=2)
    options = parser.parse_args()
    if options.one:
        train_one(Path(options.one[1]), options.one[0])
        return
    extra = EVERYTHING if options.everything else {}
    medians: dict[str, list[float]] = {"stock": [], "ours": []}
    peaks: dict[str, float] = {"stock": 0.0, "ours": 0.0}
    for number in range(options.rounds):
        for kind in ("stock", "ours") if number % 2 else ("ours", "stock"):
            found = measure(kind, options.steps, extra)
            medians[kind].append(1000 * statistics.median(found["seconds"][SKIPPED:]))
            peaks[kind] = max(peaks[kind], found["peak_mb"])
            print(kind, medians[kind][-1], found["peak_mb"], file=sys.stderr)
    print(HEADER)
    print(row(medians, peaks, options.rounds * (options.steps - SKIPPED - 1)))


def row(medians: dict[str, list[float]], peaks: dict[str, float], steps: int) -> str:
    """One line of the table."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    ratios = [ours / stock for ours, stock in zip(medians["ours"], medians["stock"], strict=True)]
    cells = [
        datetime.now(UTC).date().isoformat(),
        commit,
        f"{platform.machine()}, {os.cpu_count()} cores",
        str(steps),
        spread(medians["stock"], 1),
        spread(medians["ours"], 1),
        spread(ratios, 3),
        f"{peaks['stock']:.0f}",
        f"{peaks['ours']:.0f}",
    ]
    return "| " + " | ".join(cells) + " |"


def spread(values: list[float], digits: int) -> str:
    """Median with the lowest and highest."""
    low, mid, high = min(values), statistics.median(values), max(values)
    return f"{mid:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


if __name__ == "__main__":
    main()
