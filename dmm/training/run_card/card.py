"""``RUN.md``: a training run told on one page, with a head that the Hugging Face Hub reads.

Everything on it comes from the RUN folder; what the run does not say is left out. It names files,
not folders, so that nothing of the machine is published with it.
"""

import json
import re
from pathlib import Path, PureWindowsPath
from typing import Any

from ...checkpoints.header import read_metadata
from ...files import sha256_file, write_text
from ..runs import DONE, Run, read_run
from .licences import BASES, UNKNOWN, demands, lora_licence
from .markdown import block, code, escape, plain, table
from .results import previews, scores
from .usage import use

ARCHITECTURES = {
    "stable-diffusion-xl": "stable-diffusion-xl",
    "stable-diffusion-v1": "stable-diffusion",
}
"""How the LoRA's ``modelspec.architecture`` begins, and the Hub's tag for it."""


def write_card(run: Path) -> Path:
    """Write ``RUN.md`` in a RUN folder; the same files give the same page.

    Works for a run in any state, finished or not. InputError if the folder is no run, ModelError
    if its LoRA is damaged.
    """
    found = read_run(run)
    lora = run / f"{found.lora_name}.safetensors"
    metadata = read_metadata(lora) if lora.is_file() else {}
    sections = (
        _front_matter(found, metadata),
        _opening(found),
        use(found, lora, metadata),
        scores(found),
        previews(found),
        _data(found),
        _training(found, lora),
        _resumed(found),
        _settings(found),
    )
    write_text(run / "RUN.md", "\n\n".join(filter(None, sections)) + "\n")
    return run / "RUN.md"


def _front_matter(run: Run, metadata: dict[str, str]) -> str:
    """YAML of the fields that are known; a JSON value is a YAML value."""
    base_sha256 = run.record.get("base_sha256", "")
    base = BASES.get(base_sha256)
    architecture = metadata.get("modelspec.architecture", "")
    kinds = [tag for prefix, tag in ARCHITECTURES.items() if architecture.startswith(prefix)]
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


def _opening(run: Run) -> str:
    record = run.record
    lines = [
        f"# {escape(run.lora_name)}",
        f"A LoRA for {escape(_name(record.get('base')))} that draws mel-spectrogram images of "
        f"music, trained on the dataset {escape(_name(record.get('dataset')))} with the preset "
        f"{escape(_name(record.get('preset')))}.",
    ]
    step, reason = record.get("step"), record.get("reason")
    where = f" at step {step}" if step is not None else ""
    why = f": {escape(reason)}" if reason else "."
    if run.status == "stopped":
        lines.append(f"Training stopped early{where}{why}")
    elif run.status not in DONE:
        lines.append(
            f"**This run has not come to its end**, it is {escape(run.status)}{where}{why}"
        )
    return "\n\n".join(lines)


def _data(run: Run) -> str:
    """What the LoRA learnt from, and what that may bind it to."""
    counts = run.record.get("licences") or {}
    parts = ["## Data"]
    if not counts:
        parts.append("The run does not say under which licences its music is.")
        return "\n\n".join(parts)
    rows = [
        [escape(licence), str(n), escape(", ".join(demands(licence)) or "-")]
        for licence, n in counts.items()
    ]
    parts.append(table(["licence", "clips learnt from", "asks for"], rows, right=(1,)))
    if any("dataset_sha256" in entry["changed"] for entry in run.record.get("resumed") or []):
        parts.append("The dataset changed on the way: of each licence the larger count is given.")
    if unknown := counts.get(UNKNOWN):
        parts.append(
            f"**Warning:** nothing says that {unknown} of these clips may be copied, trained on "
            "or passed on."
        )
    parts.append(
        "What a licence asks for is read from its name or address alone. Together with the base's "
        "licence these may bind the LoRA; `ATTRIBUTION.md` in the dataset names every track."
    )
    return "\n\n".join(parts)


def _training(run: Run, lora: Path) -> str:
    record = run.record
    seconds, memory = record.get("seconds_per_step"), record.get("peak_memory_mb")
    facts = {
        "preset": _name(record.get("preset")),
        "seed": record.get("seed"),
        "processes": record.get("processes"),
        "steps": record.get("step"),
        "seconds a step (median)": f"{seconds:.3g}" if seconds else None,
        "peak memory": f"{memory:.0f} MB" if memory else None,
        "device": record.get("device"),
        "base": _name(record.get("base")),
        "base sha256": record.get("base_sha256"),
        "dataset": _name(record.get("dataset")),
        "dataset.json sha256": record.get("dataset_sha256"),
        "sd-scripts commit": record.get("engine_commit"),
        **(record.get("versions") or {}),
    }
    rows = [[escape(key), escape(value)] for key, value in facts.items() if value is not None]
    if lora.is_file():
        rows.append([f"sha256 of {code(lora.name)}", code(sha256_file(lora))])
    return f"## Training\n\n{table(['', ''], rows)}"


def _resumed(run: Run) -> str:
    """Each resume, and the settings that it put in place of others."""
    resumed = run.record.get("resumed") or []
    parts = ["## Resumed"] if resumed else []
    for entry in resumed:
        words = f"Training went on from the state {escape(entry['from'])} with"
        if not entry["changed"]:
            parts.append(f"{words} the same settings.")
            continue
        rows = [[escape(key), *map(_value, pair)] for key, pair in entry["changed"].items()]
        parts += [f"{words} other settings:", table(["setting", "before", "after"], rows)]
    return "\n\n".join(parts)


def _settings(run: Run) -> str:
    path = run.folder / "preset.toml"
    if not path.is_file():
        return ""
    return f"## Settings\n\n{block(path.read_text(encoding='utf-8'), 'toml')}"


def _value(value: Any) -> str:
    """A setting as it stood, or a dash where it was not set; of a path, its last part."""
    if isinstance(value, str) and re.search(r"[/\\]", value):
        value = _name(value)
    return "-" if value is None else escape(json.dumps(value, ensure_ascii=False))


def _name(path: object) -> str:
    """The last part of a path of any system, of each where several are joined by ``+``.

    >>> _name("/home/me/base.safetensors"), _name("C:/mine/a.toml+min-snr"), _name(None)
    ('base.safetensors', 'a.toml+min-snr', 'unknown')
    """
    parts = str(path or UNKNOWN).split("+")
    return "+".join(PureWindowsPath(part).name for part in parts)
