"""Cost of our trainer compared with stock sd-scripts: ``python benchmarks/train_overhead.py``.

Both train the same LoRA on nano with 16 random images of 256 x 256, cached latents, and without
previews or validation: sd-scripts' own trainer (given nano's sizes, which it cannot read), and ours
with a Huber threshold that narrows. Each runs in a process of its own; they alternate step by step,
so that other load affects both equally. A round is a pair of processes. CPU time is measured from
one step's start to the next, without the first three. Prints the header and one Markdown row: date,
commit, machine, steps of each, median ms per step of both (range over rounds), median ratio ours /
stock over all pairs of steps with a 95 % interval (bootstrap over rounds) and the range over
rounds, and peak memory of both (range over rounds). ``--everything`` also turns on averaging and
all spectrogram losses.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import toml
from PIL import Image
from provenance import provenance

from dmm.checkpoints.architecture import read_architecture
from dmm.checkpoints.tokenizers import ensure_tokenizer_folder
from dmm.engine import engine_environment, find_engine

NANO = Path(__file__).parents[1] / "models" / "nano" / "nano.safetensors"
HEADER = (
    "| date | commit | machine | steps | stock ms | ours ms | ours / stock | stock MB | ours MB |"
    "\n|" + "---|" * 9
)
KINDS = ("stock", "ours")
SKIPPED = 3
OURS = {"huber_start": 0.15}
EVERYTHING = {
    "ema_decay": 0.999, "gradient_weight": 0.5, "multires_weight": 0.5, "mel_tilt": 0.5,
    "spec_augment": 0.5,
}  # fmt: skip


def prepare(folder: Path, steps: int, extra: dict[str, Any]) -> None:
    """Write a dataset of noise and the engine's configuration."""
    rng = np.random.default_rng(0)
    (folder / "train").mkdir(parents=True)
    (folder / "out").mkdir()
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
        "tokenizer_cache_dir": str(ensure_tokenizer_folder(read_architecture(NANO).vocab_size)),
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


def train_one(config: Path, kind: str, own: int, other: int) -> None:
    """Train in the engine's process; write step times and peak memory as JSON.

    A step waits for a byte in the pipe ``own``, and writes one into ``other`` when it ends.
    """
    import resource

    import sdxl_train_network
    from library import train_util

    from dmm_ext import any_width
    from dmm_ext.process import setup_parser
    from dmm_ext.trainer import SdxlMelTrainer

    class Stock(sdxl_train_network.SdxlNetworkTrainer):
        def load_target_model(self, args: Any, *rest: Any) -> Any:
            with any_width.use_checkpoint_sizes(read_architecture(NANO)):  # type: ignore[arg-type]
                return super().load_target_model(args, *rest)

    trainer: Any = Stock() if kind == "stock" else SdxlMelTrainer()
    seconds: list[float] = []
    step, began = trainer.on_step_start, 0.0

    def on_step_start(*rest: Any, **named: Any) -> None:
        nonlocal began
        if began:
            seconds.append(time.process_time() - began)
            os.write(other, b".")
        os.read(own, 1)
        began = time.process_time()
        step(*rest, **named)

    trainer.on_step_start = on_step_start
    parser = setup_parser() if kind == "ours" else sdxl_train_network.setup_parser()
    sys.argv = ["train", "--config_file", str(config)]
    args = train_util.read_config_from_file(parser.parse_args(), parser)
    trainer.train(args)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    Path(args.output_dir, f"{kind}.json").write_text(
        json.dumps({"seconds": seconds[SKIPPED:], "peak_mb": peak})
    )


def measure(steps: int, extra: dict[str, Any]) -> list[dict[str, Any]]:
    """Train stock and ours alternately; returns step times in seconds and peak memory of both."""
    environment = engine_environment(find_engine()) | {"OMP_NUM_THREADS": "1"}
    pipes = [os.pipe(), os.pipe()]
    ends = [(pipes[0][0], pipes[1][1]), (pipes[1][0], pipes[0][1])]
    with tempfile.TemporaryDirectory() as folder:
        started = []
        for kind, settings, own in zip(KINDS, ({}, {**OURS, **extra}), ends, strict=True):
            place = Path(folder, kind)
            prepare(place, steps, settings)
            words = [kind, str(place / "engine.toml"), *map(str, own)]
            command = [sys.executable, __file__, "--one", *words]
            started.append(subprocess.Popen(command, env=environment, pass_fds=own))
        os.write(pipes[0][1], b".")  # stock begins
        for end in (*pipes[0], *pipes[1]):
            os.close(end)  # so that the other one does not wait when one ends
        if any([process.wait() for process in started]):
            raise SystemExit("a training failed; its messages stand above")
        return [json.loads(Path(folder, kind, "out", f"{kind}.json").read_text()) for kind in KINDS]


def main() -> None:
    """Measure all rounds and print the row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--everything", action="store_true")
    parser.add_argument("--one", nargs=4)
    options = parser.parse_args()
    if options.one:
        kind, config, own, other = options.one
        train_one(Path(config), kind, int(own), int(other))
        return
    rounds = []
    for _ in range(options.rounds):
        rounds.append(measure(options.steps, EVERYTHING if options.everything else {}))
        print(ratio(rounds[-1:]), file=sys.stderr)
    print(HEADER)
    print(row(rounds))


def ratio(rounds: list[Any]) -> float:
    """Median ratio of our time to stock's over all pairs of steps."""
    return statistics.median(
        ours / stock
        for both in rounds
        for stock, ours in zip(*(found["seconds"] for found in both), strict=True)
    )


def row(rounds: list[Any]) -> str:
    """The Markdown row."""
    medians = [[1000 * statistics.median(both[i]["seconds"]) for both in rounds] for i in (0, 1)]
    rng = np.random.default_rng(0)
    resampled = [ratio([rounds[i] for i in rng.integers(len(rounds), size=len(rounds))])
             for _ in range(500)]  # fmt: skip
    low, high = np.percentile(resampled, [2.5, 97.5])
    each = [ratio([both]) for both in rounds]
    cells = [
        *provenance(),
        str(sum(len(both[0]["seconds"]) for both in rounds)),
        *(spread(own, 1) for own in medians),
        f"{ratio(rounds):.4f} ({low:.4f}-{high:.4f}; rounds {min(each):.3f}-{max(each):.3f})",
        *(spread([both[i]["peak_mb"] for both in rounds], 0) for i in (0, 1)),
    ]
    return "| " + " | ".join(cells) + " |"


def spread(values: list[float], digits: int) -> str:
    """Median with the lowest and highest."""
    low, mid, high = min(values), statistics.median(values), max(values)
    return f"{mid:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


if __name__ == "__main__":
    main()
