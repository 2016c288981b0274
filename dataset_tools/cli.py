"""The commands ``dmm data ...``; building is here, each of the others in ``commands/``."""

from pathlib import Path
from typing import Annotated

import typer

from .augmentation.augment import parse_names
from .building.build import build_dataset
from .building.options import BuildOptions, CaptionMode, UnsureMode, VocalMode
from .captions.clean import DEFAULT_ANCHOR
from .commands import captions as captions_command
from .commands.check import check
from .commands.fetch import fetch
from .commands.fidelity import fidelity
from .commands.show import show
from .commands.stats import stats
from .sources.catalogue import SOURCES

app = typer.Typer(help="Turn audio files into a dataset to train on.", no_args_is_help=True)
for command in (fetch, stats, check, show, fidelity):
    app.command()(command)
app.add_typer(captions_command.app, name="captions")

SOUND, WORDS, VOICES = "Sound", "Captions", "Voices"
SPLITS, GENERATED, WORK = "Splits", "MiniMIDI", "Work"


@app.command()
def build(
    out: Annotated[Path, typer.Option(help="Dataset folder to make or go on with.")],
    source: Annotated[str, typer.Option(help=f"One of: {', '.join(SOURCES)}.")] = "folder",
    input: Annotated[Path | None, typer.Option(help="Folder or file the source reads.")] = None,  # noqa: A002
    format: Annotated[str, typer.Option(help="Mel image format.")] = "sdxl-512",  # noqa: A002
    licence: Annotated[str | None, typer.Option(help="Of tracks that name none.")] = None,
    seed: Annotated[int, typer.Option(help="Decides splits and what is drawn at random.")] = 0,
    hop: Annotated[
        float | None,
        typer.Option(help="Seconds between windows; else one clip.", rich_help_panel=SOUND),
    ] = None,
    beats: Annotated[
        bool, typer.Option("--beats", help="Begin windows on a beat.", rich_help_panel=SOUND)
    ] = False,
    stereo: Annotated[
        bool,
        typer.Option("--stereo", help="Mid and side, as colour images.", rich_help_panel=SOUND),
    ] = False,
    pad: Annotated[
        bool, typer.Option("--pad", help="Extend tracks of under one clip.", rich_help_panel=SOUND)
    ] = False,
    max_clips_per_track: Annotated[
        int | None, typer.Option(min=1, help="Evenly spread.", rich_help_panel=SOUND)
    ] = None,
    loudness: Annotated[
        float | None,
        typer.Option(help="Bring tracks to so many LUFS, as peaks allow.", rich_help_panel=SOUND),
    ] = None,
    max_clipped: Annotated[
        float, typer.Option(help="Share of samples at full scale.", rich_help_panel=SOUND)
    ] = BuildOptions.max_clipped,
    max_silence: Annotated[
        float, typer.Option(help="Share of a clip.", rich_help_panel=SOUND)
    ] = BuildOptions.max_silence,
    min_bandwidth: Annotated[
        float,
        typer.Option(help="Hz; refuses what was cut off below.", rich_help_panel=SOUND),
    ] = BuildOptions.min_bandwidth_hz,
    duplicates: Annotated[
        bool,
        typer.Option("--duplicates", help="Keep near-duplicates.", rich_help_panel=SOUND),
    ] = False,
    augment: Annotated[
        str,
        typer.Option(
            help="Comma list of gain, roll, pitch, tempo, mixup, spec.", rich_help_panel=SOUND
        ),
    ] = "",
    copies: Annotated[
        int, typer.Option(min=1, help="Augmented copies of a clip.", rich_help_panel=SOUND)
    ] = 1,
    anchor: Annotated[
        str, typer.Option(help="Words before every caption.", rich_help_panel=WORDS)
    ] = DEFAULT_ANCHOR,
    class_words: Annotated[
        str | None,
        typer.Option(help="Instead of the anchor, for regularisation.", rich_help_panel=WORDS),
    ] = None,
    captions: Annotated[
        CaptionMode | None,
        typer.Option(help="Default: reduce what strangers wrote.", rich_help_panel=WORDS),
    ] = None,
    caption_column: Annotated[
        str | None, typer.Option(help="Source huggingface.", rich_help_panel=WORDS)
    ] = None,
    tags: Annotated[
        Path | None, typer.Option(help="Source sdd: MTG-Jamendo's TSV.", rich_help_panel=WORDS)
    ] = None,
    valid_only: Annotated[
        bool,
        typer.Option("--valid-only", help="Source sdd: reviewed captions.", rich_help_panel=WORDS),
    ] = False,
    check_captions: Annotated[
        str | None,
        typer.Option(help="By sound: nano-clap or clap:FOLDER.", rich_help_panel=WORDS),
    ] = None,
    vocals: Annotated[
        VocalMode, typer.Option(help="What to do about singing.", rich_help_panel=VOICES)
    ] = "gate",
    unsure: Annotated[
        UnsureMode, typer.Option(help="Where doubtful tracks go.", rich_help_panel=VOICES)
    ] = "reg",
    vocal_classifier: Annotated[
        str,
        typer.Option(help="nano, none, clap:FOLDER or FILE.onnx.", rich_help_panel=VOICES),
    ] = "nano",
    val: Annotated[
        float, typer.Option(help="Share of groups for validation.", rich_help_panel=SPLITS)
    ] = 0.1,
    test: Annotated[
        float, typer.Option(help="Share of groups for testing.", rich_help_panel=SPLITS)
    ] = 0.1,
    holdout_combos: Annotated[
        int,
        typer.Option(min=0, help="Rarest instrument sets, for test.", rich_help_panel=SPLITS),
    ] = 0,
    repeats: Annotated[
        int | None,
        typer.Option(min=1, help="Of training clips; else as reg/ asks.", rich_help_panel=SPLITS),
    ] = None,
    reg_repeats: Annotated[
        int, typer.Option(min=1, help="Of regularisation clips.", rich_help_panel=SPLITS)
    ] = 1,
    reg_input: Annotated[
        Path | None, typer.Option(help="Audio for regularisation.", rich_help_panel=SPLITS)
    ] = None,
    reg_minimidi: Annotated[
        int, typer.Option(min=0, help="MiniMIDI pieces for it.", rich_help_panel=SPLITS)
    ] = 0,
    count: Annotated[
        int, typer.Option(min=1, help="Pieces to generate.", rich_help_panel=GENERATED)
    ] = 100,
    styles: Annotated[
        list[str] | None, typer.Option(help="To generate; repeatable.", rich_help_panel=GENERATED)
    ] = None,
    instruments: Annotated[
        list[str] | None,
        typer.Option(help="Must play in every piece; repeatable.", rich_help_panel=GENERATED),
    ] = None,
    singers: Annotated[
        float, typer.Option(help="Share of pieces with a voice.", rich_help_panel=GENERATED)
    ] = 0.0,
    unseen: Annotated[
        bool,
        typer.Option("--unseen", help="Pairs kept for testing.", rich_help_panel=GENERATED),
    ] = False,
    soundfont: Annotated[
        Path | None,
        typer.Option(help="Play by FluidSynth with this file.", rich_help_panel=GENERATED),
    ] = None,
    midi: Annotated[
        bool,
        typer.Option("--midi", help="A .mid beside every image.", rich_help_panel=GENERATED),
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Processes; else one per processor.", rich_help_panel=WORK),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(help="Work on a cluster: auto, local, HOST:PORT.", rich_help_panel=WORK),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Throw away an earlier dataset.", rich_help_panel=WORK),
    ] = False,
) -> None:
    """Cut audio into clips and write mel images, captions, splits and a manifest.

    Interrupted, it goes on where it was when run again. What may be wrong with a clip is measured,
    tracks with a voice are kept out of training, and every refusal is in rejected.jsonl.

    Example: dmm data build --input ~/music --out data/mine --format sdxl-512
    """
    options = BuildOptions(
        source=source, format=format, hop_s=hop, beats=beats, stereo=stereo, pad=pad,
        max_clips_per_track=max_clips_per_track, loudness_lufs=loudness, max_clipped=max_clipped,
        max_silence=max_silence, min_bandwidth_hz=min_bandwidth, duplicates=duplicates,
        augment=parse_names(augment), copies=copies, anchor=anchor, class_words=class_words,
        captions=captions, valid_only=valid_only, caption_column=caption_column,
        check_captions=check_captions, vocals=vocals, unsure=unsure,
        vocal_classifier=vocal_classifier, seed=seed, val=val, test=test,
        holdout_combos=holdout_combos, repeats=repeats, reg_repeats=reg_repeats,
        reg_minimidi=reg_minimidi, licence=licence, styles=tuple(styles or ()),
        instruments=tuple(instruments or ()), singers=singers, unseen=unseen,
        soundfont=soundfont, midi=midi,
    )  # fmt: skip
    summary = build_dataset(
        out, options, input=input, reg_input=reg_input, count=count, jobs=jobs, ray=ray,
        force=force, tags=tags,
    )  # fmt: skip
    clips = ", ".join(f"{n} {split}" for split, n in summary["clips"].items())
    print(f"{out}: {clips} clips of {summary['tracks']} tracks, {summary['rejected']} refused")
