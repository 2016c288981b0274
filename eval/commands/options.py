"""Arguments, options and JSON output that the commands of ``dmm eval`` share."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from dmm.embedders import Embedder
from dmm.errors import InputError
from dmm.registry import default_embedder, load_embedder
from dmm.shared_options import with_options

Clips = Annotated[
    Path, typer.Argument(help="CLIPS, a DATASET (its test split) or a folder of audio.")
]
Real = Annotated[
    Path, typer.Argument(help="DATASET (its test split), folder of real audio, or statistics file.")
]
Dataset = Annotated[
    Path, typer.Argument(help="DATASET (its test split), or a folder of real audio.")
]
REAL_CLIPS = ("dataset", "reference", "held_out", "clips", "run_a")
"""Parameters that may name real clips, in order of preference."""
SECOND = "mel-stats"
"""Embedder that describes any music roughly and needs no weights."""
EMBEDDER, OUTPUT = "Embedder", "Machine and output"
"""Panels of the help text."""


@dataclass(frozen=True)
class SharedOptions:
    """The loaded embedder, the Ray cluster and the form of output, which most commands need."""

    embedder: Embedder
    second: Embedder | None
    """mel-stats beside another embedder, unless --embedder was given."""
    why: str
    """Reason for the choice, in brackets; empty if --embedder was given."""
    ray_address: str | None
    """Address of the cluster that embeds; None for this machine."""
    as_json: bool


def print_json(content: dict[str, Any]) -> None:
    """Print one JSON object on standard output; ValueError for NaN and infinity."""
    print(json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False))


def resolve_shared_options(
    real: Path | None,
    embedder: Annotated[
        str | None,
        typer.Option(
            help="Embedder: clap, laion-clap, nano-clap or mel-stats.",
            show_default="that of --weights, or nano-clap for MiniMIDI and mel-stats for others",
            rich_help_panel=EMBEDDER,
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            help="Checkpoint: a folder or Hub name for clap, a .pt file for laion-clap.",
            show_default="nano-clap's shipped one; laion/larger_clap_general for clap",
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
            help="Embed on a Ray cluster: auto, local or HOST:PORT.",
            show_default="this machine",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object, no table.", rich_help_panel=OUTPUT),
    ] = False,
) -> SharedOptions:
    """Load the embedder that the options name, or one that knows the music of ``real``."""
    why = ""
    name = (
        embedder
        or (None if weights else _statistics_embedder_name(real))
        or default_embedder(weights)
    )
    opened = load_embedder(name, weights, protocol, precision, device)
    if embedder is None and weights is None:
        opened, why = _embedder_that_knows(opened, real)
    second = load_embedder(SECOND) if embedder is None and opened.name != SECOND else None
    return SharedOptions(opened, second, why, ray, as_json)


def _statistics_embedder_name(real: Path | None) -> str | None:
    """Name of the embedder of a statistics file; None for a folder."""
    from ..reference_file import statistics_embedder_name

    return statistics_embedder_name(real) if real and real.is_file() else None


def _embedder_that_knows(embedder: Embedder, real: Path | None) -> tuple[Embedder, str]:
    """The embedder, or mel-stats if it does not know the music; and the reason in brackets."""
    from ..clips import audio_of_test_split
    from ..domain import domain_fit_of_files

    if real is None or not real.is_dir() or embedder.name == SECOND:
        return embedder, ""
    try:
        found = domain_fit_of_files(embedder, audio_of_test_split(real))
    except InputError:  # the command itself says what is missing
        return embedder, ""
    if found is None or found.is_known:
        return embedder, " (it knows this kind of music)"
    return load_embedder(SECOND), f" ({embedder.name} does not know this kind of music)"


def _path_of_real_clips(given: dict[str, Any]) -> Path | None:
    return next((given[name] for name in REAL_CLIPS if given.get(name)), None)


with_shared_options = with_options("options", resolve_shared_options, real=_path_of_real_clips)
"""Decorates a command: adds the shared options, and passes them resolved as ``options``."""
