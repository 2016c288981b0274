"""Train a LoRA: resolve a preset, check it, and run sd-scripts with our trainer on a DATASET.

``dmm train PRESET --dataset DATASET --base MODEL --out RUN`` leaves a RUN folder: the resolved
preset, ``run.json``, ``NAME.safetensors``, ``metrics.jsonl``, TensorBoard logs and states.
"""

import json
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import toml

from .engine import read_pin, set_up_engine
from .errors import EngineError, InputError, PresetError
from .files import sha256_file, write_text
from .presets import check, engine_environment, engine_options, load_preset, parse_settings
from .sdxl_pipeline import prediction_type
from .sdxl_shapes import read_shapes
from .tokenizers import tokenizer_folder

OURS = ("pretrained_model_name_or_path", "dataset_config", "output_dir", "logging_dir", "resume")
"""Settings that follow from the command line and may not stand in a preset."""


def train(
    preset: str,
    dataset: Path,
    base: Path,
    out: Path,
    settings: Sequence[str] = (),
    name: str = "lora",
    resume: bool = False,
) -> Path:
    """Train a LoRA on a DATASET folder's train and reg splits; returns the LoRA's path.

    ``settings`` are ``key=value`` words over the preset. With ``resume`` the newest state in the
    RUN folder is continued up to ``max_train_steps``, counted from the very first step.
    PresetError, InputError, ModelError or EngineError in one line if something does not hold.
    """
    engine = set_up_engine()
    resolved = check(load_preset(preset) | parse_settings(settings), engine_options(engine))
    if taken := sorted(set(OURS) & set(resolved)):
        raise PresetError(f"{', '.join(taken)}: set by the command line, not by a preset")
    shapes = read_shapes(base)
    state = newest_state(out) if resume else None
    if not resume and (any(out.glob("*.safetensors")) or any((out / "state").glob("step-*"))):
        raise InputError(f"{out}: holds a run already; add --resume or name another folder")
    arguments = resolved | {
        "pretrained_model_name_or_path": str(base.resolve()),
        "dataset_config": str((out / "dataset.toml").resolve()),
        "output_dir": str(out.resolve()),
        "output_name": name,
        "logging_dir": str((out / "logs").resolve()),
        "log_with": "tensorboard",
        "tokenizer_cache_dir": str(tokenizer_folder(shapes.te1.vocab_size)),
        "anchor": dataset_facts(dataset).get("options", {}).get("anchor", ""),
    }
    if prediction_type(base) == "v_prediction":
        arguments["v_parameterization"] = True
    if state:
        arguments["resume"] = str(state.resolve())
    write_text(out / "dataset.toml", toml.dumps(dataset_config(dataset)))
    write_text(out / "preset.toml", toml.dumps(resolved))
    write_text(out / "engine.toml", toml.dumps(arguments))
    record = _record(preset, dataset, base, resolved, state)
    write_text(out / "run.json", json.dumps(record | {"status": "started"}, indent=2) + "\n")
    _run(engine, out)
    write_text(out / "run.json", json.dumps(record | {"status": "finished"}, indent=2) + "\n")
    return out / f"{name}.safetensors"


def _run(engine: Path, out: Path) -> None:
    """Run the trainer; its progress bar and messages stay on the terminal."""
    command = [sys.executable, "-m", "dmm_ext.trainer", "--config_file", str(out / "engine.toml")]
    done = subprocess.run(command, env=engine_environment(engine), stdout=sys.stderr, check=False)
    if done.returncode:
        raise EngineError(
            f"{out}: training ended with exit code {done.returncode}; the reason stands above, "
            "and --resume goes on from the newest state if one was saved"
        )


def newest_state(run: Path) -> Path:
    """The state of the highest step in a RUN folder; InputError if there is none."""
    states = sorted((run / "state").glob("step-*"))
    if not states:
        raise InputError(
            f"{run}: no state to resume from; train with --set save_state=true "
            "--set save_every_n_steps=N"
        )
    return states[-1]


def dataset_facts(dataset: Path) -> dict[str, Any]:
    """A DATASET's ``dataset.json``; InputError if the folder is none or has nothing to train on."""
    path = dataset / "dataset.json"
    if not path.is_file():
        raise InputError(f"{dataset}: not a dataset (no dataset.json); make one: dmm data build")
    if not any((dataset / "train").glob("*.png")):
        raise InputError(f"{dataset}: the train split holds no clips; build it from more music")
    return json.loads(path.read_text(encoding="utf-8"))


def dataset_config(dataset: Path) -> dict[str, Any]:
    """The DATASET's sd-scripts configuration with its image folders as absolute paths."""
    config = tomllib.loads((dataset / "dataset.toml").read_text(encoding="utf-8"))
    for entry in config["datasets"]:
        for subset in entry["subsets"]:
            subset["image_dir"] = str((dataset / subset["image_dir"]).resolve())
    return config


def _record(
    preset: str, dataset: Path, base: Path, resolved: dict[str, Any], state: Path | None
) -> dict[str, Any]:
    return {
        "preset": preset,
        "seed": resolved.get("seed"),
        "base": str(base),
        "base_sha256": sha256_file(base),
        "dataset": str(dataset),
        "dataset_sha256": sha256_file(dataset / "dataset.json"),
        "resumed_from": str(state) if state else None,
        "engine_commit": read_pin().commit,
        "versions": {p: version(p) for p in ("torch", "diffusers", "transformers", "accelerate")},
    }
