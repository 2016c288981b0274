"""A run before it starts: settings, facts and findings, and the files the engine is given."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import toml

from ..checkpoints.architecture import Shapes, read_architecture
from ..checkpoints.tokenizers import tokenizer_folder
from ..engine import read_pin
from ..errors import InputError
from ..files import sha256_file, write_text
from .facts import Facts, gather
from .launcher import with_dataset_settings
from .lengths import total_steps
from .presets import Resolved, resolve
from .run_card.licences import licences

VALIDATION_BATCH = 4
"""Fixed, because the noise of a validation is drawn by batch."""


@dataclass(frozen=True)
class Plan:
    """What would be trained, on what, from what."""

    settings: Resolved
    dataset: Path
    base: Path
    shapes: Shapes
    facts: Facts

    @property
    def built(self) -> dict[str, Any]:
        """The DATASET's ``dataset.json``."""
        return json.loads((self.dataset / "dataset.json").read_text(encoding="utf-8"))

    @property
    def format(self) -> str | None:
        """The name of the mel format of the DATASET's images."""
        return self.built.get("format", {}).get("name")


def make_plan(preset: str, dataset: Path, base: Path, settings: Sequence[str] = ()) -> Plan:
    """Read everything that a run depends on; PresetError first, before any file is opened."""
    resolved = resolve(preset, settings)
    facts = gather(dataset, base)
    if facts.dataset and not facts.dataset.n_train:
        raise InputError(f"{dataset}: the train split holds no clips; build it from more music")
    return Plan(resolved, dataset, base, read_architecture(base), facts)


def write_plan(
    plan: Plan, out: Path, name: str, state: Path | None, start: Path | None
) -> dict[str, Any]:
    """Write ``dataset.toml``, ``preset.toml``, ``engine.toml``; returns the engine's settings."""
    write_text(out / "dataset.toml", toml.dumps(dataset_config(plan)))
    write_text(out / "preset.toml", toml.dumps(dict(plan.settings.stated)))
    arguments = {
        "log_with": "tensorboard",
        **plan.settings.engine_settings(),
        "pretrained_model_name_or_path": str(plan.base.resolve()),
        "dataset_config": str((out / "dataset.toml").resolve()),
        "output_dir": str(out.resolve()),
        "output_name": name,
        "logging_dir": str((out / "logs").resolve()),
        "tokenizer_cache_dir": str(tokenizer_folder(plan.shapes.vocab_size)),
        "anchor": plan.built.get("options", {}).get("anchor", ""),
        "lora_metadata": lora_metadata(plan),
    }
    if plan.facts.base and plan.facts.base.prediction_type == "v_prediction":
        arguments["v_parameterization"] = True
    split = "val" if plan.facts.dataset and plan.facts.dataset.n_val else "train"
    arguments.setdefault("preview_reference", str((plan.dataset / split).resolve()))
    if arguments.pop("max_train_epochs", None):
        arguments["max_train_steps"] = total_steps(plan.settings, plan.facts.dataset)
    if state:
        arguments["resume"] = str(state.resolve())
    if start:
        arguments["network_weights"] = str(start.resolve())
    write_text(out / "engine.toml", toml.dumps(arguments))
    return arguments


def dataset_config(plan: Plan) -> dict[str, Any]:
    """The DATASET's sd-scripts configuration for this run: absolute paths, and the val split.

    The val split is a dataset of its own that sd-scripts validates on whole, its captions as they
    stand behind the anchor.
    """
    text = (plan.dataset / "dataset.toml").read_text(encoding="utf-8")
    settings = plan.settings.launcher_settings()
    config = with_dataset_settings(tomllib.loads(text), settings)
    first = config["datasets"][0]
    if plan.facts.dataset and plan.facts.dataset.n_val:
        prefix = {k: v for k, v in first["subsets"][0].items() if k == "caption_prefix"}
        subset = {"image_dir": "val", "shuffle_caption": False, **prefix}
        shared = {k: v for k, v in first.items() if k not in ("subsets", "batch_size")}
        whole = {"validation_split": 1.0, "validation_seed": 0, "batch_size": VALIDATION_BATCH}
        config["datasets"].append({**shared, **whole, "subsets": [subset]})
    for entry in config["datasets"]:
        for subset in entry["subsets"]:
            subset["image_dir"] = str((plan.dataset / subset["image_dir"]).resolve())
    return config


def lora_metadata(plan: Plan) -> list[str]:
    """``dmm_key=value`` words: all one needs to draw with the LoRA and to decode its images."""
    built = plan.built
    clip_skip = plan.settings["clip_skip"] if plan.shapes.kind == "sd15" else None
    values = {
        "format": plan.format or "",
        "format_parameters": json.dumps(built.get("format", {}), sort_keys=True),
        "anchor": built.get("options", {}).get("anchor", ""),
        "stereo": "true" if built.get("options", {}).get("stereo") else "false",
        "architecture": plan.shapes.kind,
        "prediction_type": plan.facts.base.prediction_type if plan.facts.base else "epsilon",
        "preset": plan.settings.name,
        "dataset_sha256": sha256_file(plan.dataset / "dataset.json"),
        "engine_commit": read_pin().commit,
        "version": version("diffusion-minimidi"),
    }
    if clip_skip:
        values["clip_skip"] = str(clip_skip)
    if huber := _huber(plan.settings):
        values["huber"] = huber
    return [f"dmm_{key}={value}" for key, value in values.items()]


def _huber(settings: Resolved) -> str | None:
    """The course of our threshold; the engine's ``ss_huber_*`` know nothing of it."""
    start, end, schedule = (settings[f"huber_{key}"] for key in ("start", "end", "schedule"))
    if start is None or settings["loss_type"] not in ("huber", "smooth_l1"):
        return None
    if settings["huber_over"] == "timestep":
        return f"{start:g} to {end:g} over timesteps ({schedule})"
    factor = "" if schedule == "constant" else f", times {schedule}"
    return f"{start:g} to {end:g} over training ({settings['huber_curve']}){factor}"


def record(plan: Plan, changes: Mapping[str, Any]) -> dict[str, Any]:
    """``run.json`` as far as it is known before the run; ``changes`` come on top."""
    return {
        "preset": plan.settings.name,
        "seed": plan.settings["seed"],
        "base": str(plan.base),
        "base_sha256": sha256_file(plan.base),
        "dataset": str(plan.dataset),
        "dataset_sha256": sha256_file(plan.dataset / "dataset.json"),
        "format": plan.format,
        "licences": licences(plan.dataset),
        "engine_commit": read_pin().commit,
        "versions": {p: version(p) for p in ("torch", "diffusers", "transformers", "accelerate")},
        **changes,
    }
