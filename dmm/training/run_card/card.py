"""``RUN.md``: a model card of a training run, with metadata for the Hugging Face Hub.

Everything on it comes from the RUN folder. An unknown base, dataset or preset is called unknown,
licences "not recorded"; other unknown facts are left out. Absolute paths are cut to file names, so
that publishing the card reveals no folders of the machine; it does show the device and its memory.
"""

import json
from pathlib import Path
from typing import Any

import toml

from ...checkpoints.header import read_metadata
from ...checkpoints.published import PUBLISHED_BASES
from ...files import sha256_file, write_text
from ..cost import Tariff
from ..runs import ENDED, Run, read_run
from .licences import UNKNOWN, licence_conditions, lora_licence
from .markdown import block, code, escape, plain, table
from .paths import cut_absolute_paths, last_part
from .results import previews_section, scores_section
from .usage import usage_section

ARCHITECTURE_TAGS = {
    "stable-diffusion-xl": "stable-diffusion-xl",
    "stable-diffusion-v1": "stable-diffusion",
}
"""Prefix of the LoRA's ``modelspec.architecture`` to the Hub's tag."""


def write_card(run: Path) -> Path:
    """Write ``RUN.md`` in a RUN folder and return its path; equal files give equal text.

    Works for a run with any status. InputError if the folder is not a run or its settings are
    damaged, ModelError if its LoRA is.
    """
    contents = read_run(run)
    lora = run / f"{contents.lora_name}.safetensors"
    metadata = read_metadata(lora) if lora.is_file() else {}
    sections = (
        _front_matter(contents, metadata),
        _title_section(contents),
        usage_section(contents, lora, metadata),
        scores_section(contents),
        previews_section(contents),
        _licences_section(contents),
        _training_section(contents, lora),
        _resumes_section(contents),
        _settings_section(contents),
    )
    write_text(run / "RUN.md", "\n\n".join(filter(None, sections)) + "\n")
    return run / "RUN.md"


def _front_matter(run: Run, metadata: dict[str, str]) -> str:
    """YAML of the known fields; JSON values are valid YAML."""
    base_sha256 = run.record.get("base_sha256", "")
    base = PUBLISHED_BASES.get(base_sha256)
    architecture = metadata.get("modelspec.architecture", "")
    kinds = [tag for prefix, tag in ARCHITECTURE_TAGS.items() if architecture.startswith(prefix)]
    fields: dict[str, Any] = {
        "license": lora_licence(base_sha256, run.record.get("licences") or {}),
        "base_model": base.hub_id if base else None,
        "base_model_relation": "adapter" if base else None,
        "library_name": "diffusers",
        "pipeline_tag": "text-to-audio",
        "instance_prompt": plain(metadata.get("dmm_anchor", "")) or None,
        "tags": ["lora", "music", "mel-spectrogram", *kinds],
    }
    known = {key: value for key, value in fields.items() if value is not None}
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in known.items()]
    return "\n".join(["---", *lines, "---"])


def _title_section(run: Run) -> str:
    """Title, base, dataset and preset, and a note on a run that did not finish."""
    record = run.record
    base, dataset, preset = (last_part(record.get(key)) for key in ("base", "dataset", "preset"))
    lines = [
        f"# {escape(run.lora_name)}",
        f"A LoRA for {escape(base)} that generates mel-spectrogram images of music, trained on the "
        f"dataset {escape(dataset)} with the preset {escape(preset)}.",
    ]
    step, reason = record.get("step"), record.get("reason")
    where = f" at step {step}" if step is not None else ""
    why = f": {escape(reason)}" if reason else "."
    if run.status == "stopped":
        lines.append(f"Training stopped early{where}{why}")
    elif run.status not in ENDED:
        lines.append(f"**This run has not reached its end**: {escape(run.status)}{where}{why}")
    return "\n\n".join(lines)


def _licences_section(run: Run) -> str:
    """Number of clips and conditions of each licence of the music that was trained on."""
    counts = run.record.get("licences") or {}
    parts = ["## Data"]
    if not counts:
        parts.append("The licences of the music are not recorded.")
        return "\n\n".join(parts)
    rows = [
        [escape(licence), str(n), escape(", ".join(licence_conditions(licence)) or "-")]
        for licence, n in counts.items()
    ]
    parts.append(table(["licence", "clips learnt from", "conditions"], rows, right=(1,)))
    if any("dataset_sha256" in entry["changed"] for entry in run.record.get("resumed") or []):
        parts.append("The dataset changed between resumes: each count is the larger one.")
    if unknown := counts.get(UNKNOWN):
        parts.append(
            f"**Warning:** no known licence permits copying, training on or passing on "
            f"{unknown} of these clips."
        )
    parts.append(
        "Conditions are read from a licence's name or address alone. With the base's licence they "
        "may apply to the LoRA; `ATTRIBUTION.md` in the dataset names every track."
    )
    return "\n\n".join(parts)


def _training_section(run: Run, lora: Path) -> str:
    """Table of facts about the training."""
    record = run.record
    seconds, memory = record.get("seconds_per_step"), record.get("peak_memory_mb")
    facts = {
        "preset": last_part(record.get("preset")),
        "seed": record.get("seed"),
        "processes": record.get("processes"),
        "steps": record.get("step"),
        **_cost_facts(record),
        "seconds per step (median)": f"{seconds:.3g}" if seconds else None,
        "peak memory": f"{memory:.0f} MB" if memory else None,
        "device": record.get("device"),
        "base": last_part(record.get("base")),
        "base sha256": record.get("base_sha256"),
        "dataset": last_part(record.get("dataset")),
        "dataset.json sha256": record.get("dataset_sha256"),
        "sd-scripts commit": record.get("engine_commit"),
        **(record.get("versions") or {}),
    }
    rows = [[escape(key), escape(value)] for key, value in facts.items() if value is not None]
    if lora.is_file():
        rows.append([f"sha256 of {code(lora.name)}", code(sha256_file(lora))])
    return f"## Training\n\n{table(['', ''], rows)}"


def _cost_facts(record: dict[str, Any]) -> dict[str, str]:
    """Hours of the trainer's processes, energy and money, as far as they are known."""
    seconds = record.get("seconds")
    if not seconds:
        return {}
    rows = Tariff.parse(record.get("price"), record.get("watts")).rows(seconds)
    return {
        "hours, loading included": f"{seconds / 3600:.3g}",
        **{name: f"{amount} ({basis})" for name, amount, basis in rows},
    }


def _resumes_section(run: Run) -> str:
    """Each resume, with the settings that it changed."""
    resumed = run.record.get("resumed") or []
    parts = ["## Resumed"] if resumed else []
    for entry in resumed:
        words = f"Training continued from the state {escape(entry['from'])} with"
        if not entry["changed"]:
            parts.append(f"{words} the same settings.")
            continue
        rows = [[escape(key), *map(_shown_value, pair)] for key, pair in entry["changed"].items()]
        parts += [f"{words} other settings:", table(["setting", "before", "after"], rows)]
    return "\n\n".join(parts)


def _settings_section(run: Run) -> str:
    if not run.preset:
        return ""
    return f"## Settings\n\n{block(toml.dumps(cut_absolute_paths(run.preset)), 'toml')}"


def _shown_value(value: Any) -> str:
    """A setting as JSON with its paths cut, or a dash if it was unset."""
    if value is None:
        return "-"
    return escape(json.dumps(cut_absolute_paths(value), ensure_ascii=False))
