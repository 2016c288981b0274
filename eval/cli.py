"""``dmm eval``: one thin command for each thing that can be asked of a folder of clips."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from dmm.embedders import Embedder, load_embedder, usual_embedder

from .clips import EmbeddedClips, audio_files, embed_files, embed_reference
from .diversity import embedding_diversity, participation_ratio
from .fad import frechet_distance
from .intervals import jackknife_interval, real_floor
from .kad import kernel_distance
from .report import SHOWN_CLIPS, write_report
from .words import number

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Score clips beside real ones.",
)

Clips = Annotated[Path, typer.Argument(help="Folder of clips.")]
Dataset = Annotated[Path, typer.Argument(help="DATASET folder (its test split), or real audio.")]
EmbedderName = Annotated[
    str | None,
    typer.Option(
        "--embedder", help="mel-stats, nano-clap, clap or laion-clap; default: what --weights name."
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(help="Checkpoint: a folder or Hub name for clap, a .pt file for laion-clap."),
]
ProtocolName = Annotated[
    str, typer.Option("--protocol", help="How clips fill CLAP's 10 s: loop, or legacy (silence).")
]
Precision = Annotated[str, typer.Option(help="fp32, or bf16: twice as fast, cosines to 1e-4.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Ray = Annotated[str | None, typer.Option(help="Embed on a cluster: auto, local, HOST:PORT.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command()
def fad(
    clips: Clips,
    dataset: Dataset,
    embedder: EmbedderName = None,
    weights: Weights = None,
    protocol: ProtocolName = "loop",
    precision: Precision = "fp32",
    device: Device = "auto",
    ray: Ray = None,
    as_json: AsJson = False,
) -> None:
    """Fréchet and kernel distance of clips to real ones, and what as many real clips score.

    Example: dmm eval fad clips/ data/minimidi
    """
    judge = load_embedder(embedder or usual_embedder(weights), weights, protocol, precision, device)
    ours = embed_files(audio_files(clips), judge, ray=ray)
    real = embed_reference(dataset, judge, ray)
    distance = frechet_distance(ours.rows, real.rows)
    kernel = kernel_distance(ours.rows, real.rows)
    floor = real_floor(frechet_distance, ours.rows, real.rows)
    found = {
        **_about(judge, ours),
        "n_reference": len(real),
        "fad": distance,
        "floor": floor and floor.mean,
        "floor_n": floor and floor.n,
        "excess": floor and floor.excess,
        "kad": kernel,
    }
    if as_json:
        return _print_json(found)
    print(f"FAD {number(distance)}, KAD {number(kernel)} (lower is closer)")
    print(f"{len(ours)} clips, {len(real)} real ones, by {judge.name} (no other is comparable)")
    if floor:
        real_fad, excess = number(floor.mean), number(floor.excess)
        print(f"{floor.n} real clips in their place score FAD {real_fad}; excess {excess}")


@app.command()
def diversity(
    clips: Clips,
    embedder: EmbedderName = None,
    weights: Weights = None,
    protocol: ProtocolName = "loop",
    precision: Precision = "fp32",
    device: Device = "auto",
    ray: Ray = None,
    as_json: AsJson = False,
) -> None:
    """How varied clips are: mean pairwise cosine distance, and effective number of directions.

    Example: dmm eval diversity clips/ --json
    """
    judge = load_embedder(embedder or usual_embedder(weights), weights, protocol, precision, device)
    ours = embed_files(audio_files(clips), judge, ray=ray)
    rows = ours.rows
    varied = embedding_diversity(rows)
    interval = jackknife_interval(lambda keep: embedding_diversity(rows[keep]), range(len(rows)))
    directions = _directions(rows)
    low, high = interval or (None, None)
    found = {
        **_about(judge, ours),
        "diversity": varied,
        "low": low,
        "high": high,
        "participation_ratio": directions,
    }
    if as_json:
        return _print_json(found)
    sure = f" ({number(interval[0])} to {number(interval[1])})" if interval else ""
    print(f"diversity {number(varied)}{sure} (higher is more varied)")
    if directions is not None:
        print(f"effective directions {number(directions)}")
    print(f"{len(ours)} clips by {judge.name} (no other is comparable)")


@app.command()
def report(
    clips: Clips,
    dataset: Dataset,
    out: Annotated[Path, typer.Option(help="Folder for report.json and report.html.")],
    baseline: Annotated[Path | None, typer.Option(help="Clips from before, to compare.")] = None,
    embedder: EmbedderName = None,
    weights: Weights = None,
    protocol: ProtocolName = "loop",
    precision: Precision = "fp32",
    device: Device = "auto",
    ray: Ray = None,
    shown: Annotated[int, typer.Option(min=1, help="Most clips a set plays.")] = SHOWN_CLIPS,
    as_json: AsJson = False,
) -> None:
    """Score clips beside real ones and write a page to hear and see them.

    Example: dmm eval report clips/ data/minimidi --baseline clips-before/ --out report
    """
    judge = load_embedder(embedder or usual_embedder(weights), weights, protocol, precision, device)
    made = write_report(clips, dataset, out, judge, baseline, shown, ray)
    if as_json:
        return _print_json(made)
    print(made["summary"]["headline"])
    for line in [*made["summary"]["metrics"].values(), *made["cautions"]]:
        print(f"- {line}")
    print(out / "report.html")


@app.command("convert-clap")
def convert(
    file: Annotated[Path, typer.Argument(help="A .pt checkpoint of laion-clap.")],
    out: Annotated[Path, typer.Argument(help="New folder for --embedder clap --weights.")],
) -> None:
    """Turn a .pt checkpoint of laion-clap into a folder that needs neither pickle nor package.

    Words need RoBERTa's tokeniser: it is taken along if vocab.json and merges.txt lie beside the
    file, or if roberta-base is in the Hub's cache. The embeddings are equal to 1e-6.

    Example: dmm eval convert-clap music_audioset_epoch_15_esc_90.14.pt clap-music
    """
    from .convert_clap import convert_clap

    if not convert_clap(file, out):
        print(
            f"no tokeniser found, so {out} hears but does not read; put roberta-base's "
            "tokenizer.json there",
            file=sys.stderr,
        )
    print(out)


def _directions(rows: np.ndarray) -> float | None:
    """The participation ratio, or None for clips too few or too alike to have one."""
    try:
        return participation_ratio(rows)
    except ValueError:
        return None


def _about(judge: Embedder, ours: EmbeddedClips) -> dict[str, object]:
    return {
        "embedder": {
            "name": judge.name,
            "version": judge.version,
            "protocol": judge.protocol,
            "identity": asdict(judge.identity),
        },
        "n": len(ours),
        "skipped": ours.skipped,
    }


def _print_json(content: dict[str, object]) -> None:
    print(json.dumps(content, indent=2, allow_nan=False))
