"""Read the inputs of a run (settings, dataset, base), and write the engine's files from them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import toml

from ..checkpoints.architecture import Shapes, read_architecture, refuse_custom_layout
from ..checkpoints.lora import LATENTS
from ..checkpoints.tokenizers import ensure_tokenizer_folder
from ..engine import read_pin
from ..errors import InputError
from ..files import read_json, read_toml, sha256_file, write_text
from .facts import Facts, gather_facts
from .launcher import change_dataset_config
from .lengths import total_steps
from .presets import resolve
from .run_card.licences import count_licences
from .run_settings import RunSettings
from .trainer_constants import VALIDATION_BATCH


@dataclass(frozen=True)
class RunInputs:
    """Settings, dataset and base of a run, with the facts about both."""

    settings: RunSettings
    dataset: Path
    base: Path
    shapes: Shapes
    facts: Facts

    @property
    def dataset_json(self) -> dict[str, Any]:
        """Contents of the DATASET's ``dataset.json``."""
        return read_json(self.dataset / "dataset.json")

    @property
    def format_name(self) -> str | None:
        """The name of the mel format of the DATASET's images."""
        return self.dataset_json.get("format", {}).get("name")


def read_inputs(preset: str, dataset: Path, base: Path, settings: Sequence[str] = ()) -> RunInputs:
    """Read everything that a run depends on; settings are checked before dataset and base.

    PresetError, InputError or ModelError in one line for what cannot be read.
    """
    resolved = resolve(preset, settings)
    refuse_custom_layout(base)
    facts = gather_facts(dataset, base)
    if facts.dataset and not facts.dataset.n_train:
        raise InputError(f"{dataset}: the train split holds no clips; build it from more music")
    return RunInputs(resolved, dataset, base, read_architecture(base), facts)


def write_engine_files(
    inputs: RunInputs,
    out: Path,
    name: str,
    state: Path | None,
    starting_weights: Path | None,
    processes: int = 1,
) -> dict[str, Any]:
    """Write ``dataset.toml``, ``preset.toml``, ``engine.toml``; returns the engine's settings."""
    write_text(out / "dataset.toml", toml.dumps(dataset_config(inputs)))
    write_text(out / "preset.toml", toml.dumps(dict(inputs.settings.stated)))
    arguments = {
        "log_with": "tensorboard",
        **inputs.settings.engine_settings(),
        "pretrained_model_name_or_path": str(inputs.base.resolve()),
        "dataset_config": str((out / "dataset.toml").resolve()),
        "output_dir": str(out.resolve()),
        "output_name": name,
        "logging_dir": str((out / "logs").resolve()),
        "tokenizer_cache_dir": str(ensure_tokenizer_folder(inputs.shapes.vocab_size)),
        "anchor": inputs.dataset_json.get("options", {}).get("anchor", ""),
        "lora_metadata": lora_metadata(inputs),
    }
    if inputs.facts.base and inputs.facts.base.prediction_type == "v_prediction":
        arguments["v_parameterization"] = True
    split = "val" if inputs.facts.dataset and inputs.facts.dataset.n_val else "train"
    arguments.setdefault("preview_reference", str((inputs.dataset / split).resolve()))
    if arguments.pop("max_train_epochs", None):
        arguments["max_train_steps"] = total_steps(inputs.settings, inputs.facts.dataset, processes)
    if state:
        arguments["resume"] = str(state.resolve())
    if starting_weights:
        arguments["network_weights"] = str(starting_weights.resolve())
    write_text(out / "engine.toml", toml.dumps(arguments))
    return arguments


def dataset_config(inputs: RunInputs) -> dict[str, Any]:
    """The DATASET's sd-scripts configuration for this run, with absolute paths and the val split.

    The val split becomes a dataset of its own, all of which is for validation. Its captions follow
    the anchor and are not shuffled.
    """
    settings = inputs.settings.launcher_settings()
    config = change_dataset_config(read_toml(inputs.dataset / "dataset.toml"), settings)
    first = config["datasets"][0]
    if inputs.facts.dataset and inputs.facts.dataset.n_val:
        prefix = {k: v for k, v in first["subsets"][0].items() if k == "caption_prefix"}
        subset = {"image_dir": "val", "shuffle_caption": False, **prefix}
        shared = {k: v for k, v in first.items() if k not in ("subsets", "batch_size")}
        whole = {"validation_split": 1.0, "validation_seed": 0, "batch_size": VALIDATION_BATCH}
        config["datasets"].append({**shared, **whole, "subsets": [subset]})
    for entry in config["datasets"]:
        for subset in entry["subsets"]:
            subset["image_dir"] = str((inputs.dataset / subset["image_dir"]).resolve())
    return config


def lora_metadata(inputs: RunInputs) -> list[str]:
    """``dmm_key=value`` words: all that generating with the LoRA and decoding its images needs."""
    built = inputs.dataset_json
    clip_skip = inputs.settings["clip_skip"] if inputs.shapes.kind == "sd15" else None
    values = {
        "format": inputs.format_name or "",
        "format_parameters": json.dumps(built.get("format", {}), sort_keys=True),
        "anchor": built.get("options", {}).get("anchor", ""),
        "stereo": "true" if built.get("options", {}).get("stereo") else "false",
        "architecture": inputs.shapes.kind,
        "prediction_type": inputs.facts.base.prediction_type if inputs.facts.base else "epsilon",
        "preset": inputs.settings.name,
        "dataset_sha256": sha256_file(inputs.dataset / "dataset.json"),
        "engine_commit": read_pin().commit,
        "version": version("diffusion-minimidi"),
    }
    if clip_skip:
        values["clip_skip"] = str(clip_skip)
    if huber := _huber_in_words(inputs.settings):
        values["huber"] = huber
    words = [f"dmm_{key}={value}" for key, value in values.items()]
    latents = inputs.facts.base.latents if inputs.facts.base else None
    return [*words, f"{LATENTS}={latents}"] if latents else words


def _huber_in_words(settings: RunSettings) -> str | None:
    """Our Huber threshold in words; the engine's ``ss_huber_*`` fields do not describe it."""
    start, end, schedule = (settings[f"huber_{key}"] for key in ("start", "end", "schedule"))
    if start is None or settings["loss_type"] not in ("huber", "smooth_l1"):
        return None
    if settings["huber_over"] == "timestep":
        return f"{start:g} to {end:g} over timesteps ({schedule})"
    factor = "" if schedule == "constant" else f", times {schedule}"
    return f"{start:g} to {end:g} over training ({settings['huber_curve']}){factor}"


def run_record(inputs: RunInputs, further: Mapping[str, Any]) -> dict[str, Any]:
    """Entries of ``run.json`` that are known before the run, and the ``further`` ones."""
    return {
        "preset": inputs.settings.name,
        "seed": inputs.settings["seed"],
        "base": str(inputs.base),
        "base_sha256": sha256_file(inputs.base),
        "dataset": str(inputs.dataset),
        "dataset_sha256": sha256_file(inputs.dataset / "dataset.json"),
        "format": inputs.format_name,
        "licences": count_licences(inputs.dataset),
        "engine_commit": read_pin().commit,
        "versions": {p: version(p) for p in ("torch", "diffusers", "transformers", "accelerate")},
        **further,
    }
