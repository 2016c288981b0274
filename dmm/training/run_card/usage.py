"""Section of ``RUN.md`` on using the LoRA: command, decoding, anchor, and kind of weights."""

import shlex
from contextlib import suppress
from pathlib import Path, PureWindowsPath

from ...codec.mel import MelFormat, load_format, parse_format
from ...errors import DmmError
from ...files import parse_json
from ..runs import Run
from .markdown import block, code, plain

EXAMPLE = "piano, slow"


def usage_section(run: Run, lora: Path, metadata: dict[str, str]) -> str:
    """Markdown section on using the LoRA; one sentence if there is none yet.

    ``metadata`` is that of the file ``lora``.
    """
    if not lora.is_file():
        return "## Use\n\nThere is no LoRA yet."
    prompts = run.preset.get("preview_prompts") or [EXAMPLE]
    base = PureWindowsPath(str(run.record.get("base", "BASE.safetensors"))).name
    words = ["dmm", "generate", plain(prompts[0]), "--model", plain(base)]
    command = shlex.join([*words, "--lora", plain(lora.name), "--out", "clips"])
    parts = ["## Use", block(command, "sh"), _decoding_sentences(run, metadata)]
    if anchor := metadata.get("dmm_anchor"):
        parts.append(
            f"Every caption began with {code(anchor)}. `dmm generate` puts these words before "
            "the prompt by itself; in other programs type them."
        )
    if metadata.get("dmm_weights") == "average":
        parts.append("The weights are a moving average over the training.")
    if (run.folder / "best.safetensors").is_file():
        step = run.record.get("best_step")
        at = f", of step {step}," if step else ""
        parts.append(f"`best.safetensors`{at} had the lowest validation loss.")
    return "\n\n".join(parts)


def _decoding_sentences(run: Run, metadata: dict[str, str]) -> str:
    """Sentences on the mel format of this LoRA's images, and how to turn them into sound."""
    fmt = _recorded_format(metadata)
    name = fmt.name if fmt else metadata.get("dmm_format")
    if not name:
        return "The mel format of its images is not recorded."
    size = f": {_format_in_words(fmt)}" if fmt else ""
    command = code(f"dmm decode IMAGE --out sounds --format {name}")
    return (
        f"Its images are of the mel format {code(name)}{size}. `dmm generate` writes their sound; "
        f"images made elsewhere are turned into sound by {command}, at that size and neither "
        "scaled nor cropped."
    )


def _recorded_format(metadata: dict[str, str]) -> MelFormat | None:
    """The mel format by its parameters, or else by its name; None if neither is valid."""
    with suppress(DmmError):
        parameters = parse_json(metadata.get("dmm_format_parameters", ""), "format")
        return parse_format(parameters, "format")
    with suppress(DmmError):
        return load_format(metadata.get("dmm_format", ""))
    return None


def _format_in_words(fmt: MelFormat) -> str:
    """A format's size, hop, duration and frequency range in words."""
    across = f"{fmt.n_frames} columns, {fmt.hop_length} samples apart at {fmt.sr} Hz"
    up = f"{fmt.n_mels} mel rows from {fmt.fmin:g} to {fmt.fmax:g} Hz"
    return f"{across}, which are {fmt.clip_duration_s:.2f} s, and {up}"
