"""The command ``dmm demo``: from dataset to report on a CPU, by the commands a user would type."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..checkpoints.header import read_metadata
from ..cli import run
from ..engine import ROOT, set_up_engine
from ..errors import DmmError, EngineError, InputError
from ..files import parse_json, read_text, sha256_file

NANO = ROOT / "models" / "nano" / "nano.safetensors"
SHIPPED_LORA = ROOT / "models" / "nano" / "music-box-lora.safetensors"
STYLE = "music box"
"""A style of MiniMIDI that nano's UNet was not trained on."""
SEEDS = 3
"""Clips of each of ten prompts: below 30 clips a report gives no verdict."""
REG_PIECES = 320
"""Regularisation pieces in nano's own styles: with fewer it forgets more of them."""


def demo(
    out: Annotated[
        Path, typer.Option(file_okay=False, help="Folder for all files of the demo.")
    ] = Path("demo"),
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Training steps of the LoRA.", show_default="the preset's, 250"),
    ] = None,
    pieces: Annotated[int, typer.Option(min=10, help="Pieces of music in the dataset.")] = 60,
) -> None:
    """Build a dataset, train a LoRA, generate clips with and without it, score both, and report.

    The style is one that the nano base was not trained on; clips of its own styles are added, so
    that it forgets little. No GPU is needed. Run it again after an interruption to continue. Prints
    the report's path and the command that opens the LoRA, fused into nano, in the player.

    Example: dmm demo
    """
    data, before, after = out / "data", out / "clips-base", out / "clips-lora"
    music = ["--source", "minimidi", "--styles", STYLE, "--count", pieces, "--format", "nano"]
    splits = ["--test", 0.3, "--val", 0, "--reg-minimidi", REG_PIECES]
    _run_dmm("data", "build", *music, *splits, "--out", data)
    _run_dmm("data", "check", data)
    lora = _trained_lora(data, out / "run", steps)
    prompts = _test_prompts(data)
    options = [*prompts, "--count", SEEDS, "--model", NANO, "--anchor", "mel spectrogram music"]
    _run_dmm("generate", *options, "--out", before, "--overwrite")
    _run_dmm("generate", *options, "--lora", lora, "--out", after, "--overwrite")
    beside = ["--baseline", before, "--train", data]
    _run_dmm("eval", "report", after, data, *beside, "--out", out / "report")
    fused = out / "fused.safetensors"
    if not _is_fused_from(fused, lora):
        fused.unlink(missing_ok=True)
        _run_dmm("fuse", NANO, "--lora", lora, "--out", fused)
    print(f"uv run --extra web dmm web {shlex.quote(str(fused))}   # plays your LoRA in a browser")


def _trained_lora(data: Path, out: Path, steps: int | None) -> Path:
    """Path of the trained LoRA, or of the shipped one if sd-scripts cannot be cloned.

    An existing LoRA is used, and an interrupted training is resumed. InputError if the LoRA has
    other steps.
    """
    from ..training.runs import newest_state

    lora = out / "lora.safetensors"
    if lora.is_file():
        trained = int(read_metadata(lora)["ss_steps"])
        if steps not in (None, trained):
            raise InputError(f"{lora}: has {trained} steps, not {steps}; name another --out")
        return lora
    try:
        set_up_engine()
    except EngineError as error:
        print(
            f"\n{error}\nThe demo continues WITHOUT training, with a shipped LoRA of this style: "
            f"{SHIPPED_LORA}\n",
            file=sys.stderr,
        )
        return SHIPPED_LORA
    options = ["--set", f"max_train_steps={steps}"] if steps else []
    if newest_state(out):  # from an interrupted demo
        options.append("--resume")
    _run_dmm("train", "nano-cpu", "--dataset", data, "--base", NANO, "--out", out, *options)
    return lora


def _is_fused_from(fused: Path, lora: Path) -> bool:
    """Whether ``fused`` exists and holds this LoRA, not that of a demo without sd-scripts."""
    if not fused.is_file():
        return False
    loras = parse_json(read_metadata(fused)["dmm_fused"], str(fused))["loras"]
    return [part["sha256"] for part in loras] == [sha256_file(lora)]


def _test_prompts(data: Path) -> list[str]:
    """Every other distinct caption of the test split, as prompts."""
    captions = [read_text(path).strip() for path in sorted((data / "test").glob("*.txt"))]
    return list(dict.fromkeys(captions))[::2]


def _run_dmm(*words: object) -> None:
    """Show and run a ``dmm`` command; DmmError if it fails."""
    arguments = [str(word) for word in words]
    command = shlex.join(arguments)
    shown = command if len(command) < 300 else f"{command[:200]} ... {command[-90:]}"
    print(f"\n$ dmm {shown}", file=sys.stderr)
    if run(arguments):
        raise DmmError("the step above failed; run dmm demo again to continue from there")
