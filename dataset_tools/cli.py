"""The commands ``dmm data build`` and ``dmm data info``."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from .build import build_dataset
from .captions import DEFAULT_ANCHOR
from .info import describe
from .options import BuildOptions
from .sources import SOURCES

app = typer.Typer(help="Turn audio files into a dataset to train on.", no_args_is_help=True)


@app.command()
def build(
    out: Annotated[Path, typer.Option(help="Dataset folder to make or go on with.")],
    source: Annotated[str, typer.Option(help=f"One of: {', '.join(SOURCES)}.")] = "folder",
    input: Annotated[Path | None, typer.Option(help="Folder of audio files.")] = None,  # noqa: A002
    format: Annotated[str, typer.Option(help="Mel image format.")] = "sdxl-512",  # noqa: A002
    hop: Annotated[
        float | None, typer.Option(help="Seconds between windows; by default one clip.")
    ] = None,
    stereo: Annotated[bool, typer.Option(help="Keep mid and side, as colour images.")] = False,
    anchor: Annotated[str, typer.Option(help="Words before every caption.")] = DEFAULT_ANCHOR,
    pad: Annotated[bool, typer.Option(help="Extend tracks shorter than one clip.")] = False,
    max_clips_per_track: Annotated[int | None, typer.Option(min=1, help="Evenly spread.")] = None,
    seed: Annotated[int, typer.Option(help="Decides splits and what is generated.")] = 0,
    val: Annotated[float, typer.Option(help="Share of groups for validation.")] = 0.1,
    test: Annotated[float, typer.Option(help="Share of groups for testing.")] = 0.1,
    licence: Annotated[str | None, typer.Option(help="Of tracks that name none.")] = None,
    styles: Annotated[
        list[str] | None, typer.Option(help="Styles to generate; repeatable.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Pieces to generate.")] = 100,
    instruments: Annotated[
        list[str] | None, typer.Option(help="MiniMIDI: must play in every piece; repeatable.")
    ] = None,
    unseen: Annotated[
        bool, typer.Option("--unseen", help="MiniMIDI: pairs of instruments kept for testing.")
    ] = False,
    soundfont: Annotated[
        Path | None, typer.Option(help="MiniMIDI: play by FluidSynth with this .sf2 or .sf3.")
    ] = None,
    midi: Annotated[
        bool, typer.Option("--midi", help="MiniMIDI: a .mid beside every image.")
    ] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes; by default one per processor.")
    ] = None,
    force: Annotated[bool, typer.Option(help="Throw away an earlier dataset in OUT.")] = False,
) -> None:
    """Cut audio into clips and write mel images, captions, splits and a manifest.

    Interrupted, it goes on where it was when run again. Captions come from NAME.txt beside a
    file, else its tags, else its name.

    Example: dmm data build --input ~/music --out data/mine --format sdxl-512
    """
    options = BuildOptions(
        source=source, format=format, hop_s=hop, stereo=stereo, anchor=anchor, pad=pad,
        max_clips_per_track=max_clips_per_track, seed=seed, val=val, test=test,
        styles=tuple(styles or ()), instruments=tuple(instruments or ()), licence=licence,
        unseen=unseen, soundfont=soundfont, midi=midi,
    )  # fmt: skip
    summary = build_dataset(out, options, input=input, count=count, jobs=jobs, force=force)
    clips = ", ".join(f"{n} {split}" for split, n in summary["clips"].items())
    print(f"{out}: {clips} clips of {summary['tracks']} tracks, {summary['rejected']} refused")


@app.command()
def info(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show clips and hours per split, where captions are from, and what was refused.

    Example: dmm data info data/mine
    """
    facts = describe(dataset)
    if as_json:
        print(json.dumps(facts, indent=1, ensure_ascii=False))
        return
    table = Table("", "what", "clips", "hours", box=None)
    for split, n in facts["clips"].items():
        table.add_row("split", split, str(n), f"{facts['hours'][split]:.2f}")
    for label, key in (
        ("caption", "caption_origins"),
        ("licence", "licences"),
        ("refused", "rejected"),
    ):
        for what, n in facts[key].items():
            table.add_row(label, what, str(n), "")
    Console().print(table)
