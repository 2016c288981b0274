"""``dmm demo``: the whole way once, on a CPU, each step as the command one would type."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..cli import run
from ..engine import ROOT, set_up_engine
from ..errors import DmmError, EngineError

NANO = ROOT / "models" / "nano" / "nano.safetensors"
SHIPPED_LORA = ROOT / "models" / "nano" / "music-box-lora.safetensors"
STYLE = "music box"
"""A style of MiniMIDI that nano's UNet never saw."""
SEEDS = 2
"""Clips of a prompt."""
REG_PIECES = 320
"""Pieces in the styles that nano knows: with fewer it forgets more of them."""


def demo(
    out: Annotated[Path, typer.Option(help="Folder for all that the demo makes.")] = Path("demo"),
    steps: Annotated[int, typer.Option(min=1, help="Training steps of the LoRA.")] = 250,
    pieces: Annotated[int, typer.Option(min=10, help="Pieces of music to build from.")] = 60,
) -> None:
    """Build a dataset, train a LoRA, make clips without and with it, score both, write a report.

    The style is one that the nano base was not trained on. Needs no GPU; run it again after an
    interruption and it goes on. Prints the report's path.

    Clips of styles that the base knows are trained on beside it, so that it forgets little.

    Example: dmm demo
    """
    data, before, after = out / "data", out / "clips-base", out / "clips-lora"
    music = ["--source", "minimidi", "--styles", STYLE, "--count", pieces, "--format", "nano"]
    splits = ["--test", 0.3, "--val", 0, "--reg-minimidi", REG_PIECES]
    _dmm("data", "build", *music, *splits, "--out", data)
    _dmm("data", "check", data)
    lora = _train(data, out / "run", steps)
    prompts = _prompts(data)
    drawing = [*prompts, "--count", SEEDS, "--model", NANO, "--anchor", "mel spectrogram music"]
    _dmm("generate", *drawing, "--out", before)
    _dmm("generate", *drawing, "--lora", lora, "--out", after)
    beside = ["--baseline", before, "--train", data]
    _dmm("eval", "report", after, data, *beside, "--out", out / "report")


def _train(data: Path, out: Path, steps: int) -> Path:
    """Train with the real engine; where it cannot be had, say so and use the shipped LoRA."""
    lora = out / "lora.safetensors"
    if lora.is_file():
        return lora
    try:
        set_up_engine()
    except EngineError as error:
        print(
            f"\n{error}\nThe demo goes on WITHOUT training, with a LoRA that the project ships "
            f"for this style: {SHIPPED_LORA}\n",
            file=sys.stderr,
        )
        return SHIPPED_LORA
    length = ["--set", f"max_train_steps={steps}"]
    if any((out / "state").glob("step-*")):  # left by an interruption
        length.append("--resume")
    _dmm("train", "nano-cpu", "--dataset", data, "--base", NANO, "--out", out, *length)
    return lora


def _prompts(data: Path) -> list[str]:
    """Captions of every other test piece: two seeds of each show if a prompt repeats itself."""
    captions = [path.read_text("utf-8").strip() for path in sorted((data / "test").glob("*.txt"))]
    return list(dict.fromkeys(captions))[::SEEDS]


def _dmm(*words: object) -> None:
    arguments = [str(word) for word in words]
    command = shlex.join(arguments)
    shown = command if len(command) < 300 else f"{command[:200]} ... {command[-90:]}"
    print(f"\n$ dmm {shown}", file=sys.stderr)
    if run(arguments):
        raise DmmError("the step above did not end well; run dmm demo again to go on from there")
