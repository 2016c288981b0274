"""Arguments, options and JSON output that the commands of ``dmm eval`` share."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any

import typer

from dmm.embedders import Embedder
from dmm.registry import default_embedder, load_embedder

Clips = Annotated[
    Path, typer.Argument(help="CLIPS, a DATASET (its test split) or a folder of audio.")
]
Real = Annotated[
    Path, typer.Argument(help="DATASET (its test split), folder of real audio, or statistics file.")
]
Dataset = Annotated[
    Path, typer.Argument(help="DATASET (its test split), or a folder of real audio.")
]
EMBEDDER, OUTPUT = "Embedder", "Machine and output"
"""Panels of the help text."""


@dataclass(frozen=True)
class SharedOptions:
    """The loaded embedder, the Ray cluster and the form of output, which most commands need."""

    embedder: Embedder
    is_embedder_unstated: bool
    """Whether --embedder was not given."""
    ray: str | None
    """Address of the cluster that embeds; None for this machine."""
    as_json: bool


def print_json(content: dict[str, Any]) -> None:
    """Print one JSON object on standard output; ValueError for NaN and infinity."""
    print(json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False))


def resolve_shared_options(
    embedder: Annotated[
        str | None,
        typer.Option(
            help="Embedder: clap, laion-clap, nano-clap or mel-stats. Default: the one that "
            "--weights belong to, or nano-clap.",
            rich_help_panel=EMBEDDER,
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            help="Checkpoint: a folder or Hub name for clap, a .pt file for laion-clap. Default: "
            "the shipped one for nano-clap, laion/larger_clap_general for clap.",
            rich_help_panel=EMBEDDER,
        ),
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(
            help="Filling of CLAP's 10 s window: loop repeats the clip, legacy appends silence.",
            rich_help_panel=EMBEDDER,
        ),
    ] = "loop",
    precision: Annotated[
        str,
        typer.Option(
            help="fp32, or bf16 (twice as fast, cosines exact to 1e-4).", rich_help_panel=EMBEDDER
        ),
    ] = "fp32",
    device: Annotated[
        str, typer.Option(help="Device: auto, cpu, cuda or cuda:N.", rich_help_panel=OUTPUT)
    ] = "auto",
    ray: Annotated[
        str | None,
        typer.Option(
            help="Embed on a Ray cluster: auto, local or HOST:PORT. Default: this machine.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object, no table.", rich_help_panel=OUTPUT),
    ] = False,
) -> SharedOptions:
    """Load the embedder that the options name; InputError or ModelError if that fails."""
    name = embedder or default_embedder(weights)
    opened = load_embedder(name, weights, protocol, precision, device)
    return SharedOptions(opened, embedder is None, ray, as_json)


def with_shared_options(command: Callable[..., None]) -> Callable[..., None]:
    """Decorate a command: add the shared options, and pass them resolved as ``options``."""
    command_parameters = [p for p in signature(command).parameters.values() if p.name != "options"]
    shared = list(signature(resolve_shared_options).parameters.values())

    @wraps(command)
    def with_options(**given: Any) -> None:
        options = resolve_shared_options(**{p.name: given.pop(p.name) for p in shared})
        command(**given, options=options)

    every = sorted([*command_parameters, *shared], key=lambda p: p.default is not Parameter.empty)
    with_options.__signature__ = signature(command).replace(parameters=every)  # pyright: ignore
    with_options.__annotations__ = {p.name: p.annotation for p in every}
    return with_options
