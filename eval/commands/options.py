"""What the commands of ``dmm eval`` have in common: arguments, the embedder's options, output."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any

import typer

from dmm.embedders import Embedder
from dmm.registry import load_embedder, usual_embedder

Clips = Annotated[Path, typer.Argument(help="CLIPS, a DATASET or any folder of sound.")]
Real = Annotated[
    Path, typer.Argument(help="DATASET (its test split), a folder of real sound, or statistics.")
]
Dataset = Annotated[Path, typer.Argument(help="DATASET (its test split), or real sound.")]


@dataclass(frozen=True)
class Ears:
    """An embedder that is ready, and how its results are wanted."""

    embedder: Embedder
    by_default: bool
    """Nobody asked for this embedder by name."""
    ray: str | None
    as_json: bool

    def print_json(self, content: dict[str, Any]) -> None:
        """One JSON object on standard output."""
        print(json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False))


def open_ears(
    embedder: Annotated[
        str | None,
        typer.Option(
            help="clap, laion-clap, nano-clap or mel-stats; default: what --weights are for, "
            "without them nano-clap."
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="Checkpoint: a folder or Hub name for clap, a .pt file for laion-clap."),
    ] = None,
    protocol: Annotated[
        str, typer.Option(help="How clips fill CLAP's 10 s: loop, or legacy (silence).")
    ] = "loop",
    precision: Annotated[
        str, typer.Option(help="fp32, or bf16: twice as fast, cosines to 1e-4.")
    ] = "fp32",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    ray: Annotated[
        str | None, typer.Option(help="Embed on a cluster: auto, local, HOST:PORT.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> Ears:
    """The embedder that the options name."""
    name = embedder or usual_embedder(weights)
    opened = load_embedder(name, weights, protocol, precision, device)
    return Ears(opened, embedder is None, ray, as_json)


def with_ears(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options of ``open_ears``, called with what they open as ``ears``.

    Every command of ``dmm eval`` has these seven options; here they are told once.
    """
    own = [p for p in signature(command).parameters.values() if p.name != "ears"]
    shared = list(signature(open_ears).parameters.values())

    @wraps(command)
    def asked(**given: Any) -> None:
        ears = open_ears(**{p.name: given.pop(p.name) for p in shared})
        command(**given, ears=ears)

    every = sorted([*own, *shared], key=lambda p: p.default is not Parameter.empty)
    asked.__signature__ = signature(command).replace(parameters=every)  # pyright: ignore
    asked.__annotations__ = {p.name: p.annotation for p in every}
    return asked
