"""The command ``dmm data build``."""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from dmm.choices import DEFAULT_FORMAT
from dmm.option_bounds import YesOption

from ..augmentation.names import AUGMENTATIONS, parse_augmentations
from ..captions.clean import DEFAULT_ANCHOR
from ..choices import CLAP, SOURCE_NAMES, CaptionMode, UnsureMode, VocalMode
from ..limits import Limits

VAE_TEST_CLIPS = 4
"""Number of test clips that measure the loss by nano's VAE; more hardly change the mean."""
# Options in panels of their own; plain typer.Option marks those that people need first.
clip_option = partial(typer.Option, rich_help_panel="Clips and their sound")
caption_option = partial(typer.Option, rich_help_panel="Captions")
voice_option = partial(typer.Option, rich_help_panel="Voices")
split_option = partial(typer.Option, rich_help_panel="Splits and repeats")
reg_option = partial(typer.Option, rich_help_panel="Regularisation")
minimidi_option = partial(typer.Option, rich_help_panel="MiniMIDI")
work_option = partial(typer.Option, rich_help_panel="Work")


def build(
    out: Annotated[
        Path, typer.Option(file_okay=False, help="Dataset folder: new, or of a build to continue.")
    ],
    source: Annotated[
        str, typer.Option(help=f"Where the music comes from: {', '.join(SOURCE_NAMES)}.")
    ] = "folder",
    input: Annotated[  # noqa: A002 - the option's name
        Path | None,
        typer.Option(
            help="Folder or file that the source reads; for huggingface also a name on the Hub. "
            "minimidi needs none.",
        ),
    ] = None,
    count: Annotated[
        int, typer.Option(min=1, help="Number of pieces that minimidi generates.")
    ] = 100,
    format: Annotated[  # noqa: A002 - the option's name
        str, typer.Option(help="Mel format; presets/formats holds them.")
    ] = DEFAULT_FORMAT,
    licence: Annotated[
        str | None,
        typer.Option(help="Licence of tracks that name none.", show_default="unknown"),
    ] = None,
    captions: Annotated[
        CaptionMode | None,
        typer.Option(
            help="clean keeps all words but voices; reduce keeps two instruments and three "
            "descriptors at most.",
            show_default="clean for folder and minimidi, else reduce",
        ),
    ] = None,
    vocals: Annotated[
        VocalMode,
        typer.Option(
            help="gate moves tracks with a voice to regularisation; keep trains on them too."
        ),
    ] = "gate",
    augment: Annotated[
        str,
        typer.Option(
            help="Add augmented copies of training clips, by a comma-separated list of "
            f"{', '.join(AUGMENTATIONS)}.",
            show_default="none",
        ),
    ] = "",
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Number of processes.", show_default="one per processor"),
    ] = None,
    hop: Annotated[
        float | None,
        clip_option(
            help="Seconds from the start of a clip to the next in the same track.",
            show_default="one clip length, without overlap",
        ),
    ] = None,
    beats: Annotated[bool, clip_option("--beats", help="Begin every clip on a beat.")] = False,
    stereo: Annotated[
        bool,
        clip_option("--stereo", help="Make colour images of mid and side, not grey ones of mono."),
    ] = False,
    pad: Annotated[
        bool,
        clip_option(
            "--pad",
            help="Extend tracks that are shorter than a clip with silence; otherwise they are "
            "refused.",
        ),
    ] = False,
    max_clips_per_track: Annotated[
        int | None,
        clip_option(
            min=1, help="Most clips of a track, evenly spread over it.", show_default="all"
        ),
    ] = None,
    loudness: Annotated[
        float | None,
        clip_option(
            help="Bring every track to this loudness in LUFS, as far as its peaks allow.",
            show_default="unchanged",
        ),
    ] = None,
    max_clipped: Annotated[
        float,
        clip_option(help="Refuse clips with a larger share of their samples clipped, 0 to 1."),
    ] = Limits.max_clipped,
    max_silence: Annotated[
        float,
        clip_option(help="Refuse clips of which a larger share is silent, 0 to 1."),
    ] = Limits.max_silence,
    min_bandwidth: Annotated[
        float,
        clip_option(
            help="Refuse clips without sound above this frequency in Hz: upsampled or strongly "
            "compressed files."
        ),
    ] = Limits.min_bandwidth_hz,
    duplicates: Annotated[
        bool,
        clip_option(
            "--duplicates",
            help="Keep clips that sound like a clip of another track; otherwise they are refused.",
        ),
    ] = False,
    copies: Annotated[
        int,
        clip_option(min=1, help="Augmented copies of each training clip, with --augment."),
    ] = 1,
    anchor: Annotated[str, caption_option(help="Words before every caption.")] = DEFAULT_ANCHOR,
    caption_column: Annotated[
        str | None,
        caption_option(
            help="For huggingface: the column with the captions.", show_default="found by its name"
        ),
    ] = None,
    tags: Annotated[
        Path | None,
        caption_option(
            help="For sdd: MTG-Jamendo's table of tags (.tsv).",
            show_default="the one beside the captions",
        ),
    ] = None,
    valid_only: Annotated[
        bool,
        caption_option(
            "--valid-only", help="For sdd: use only captions that its reviewers found valid."
        ),
    ] = False,
    describe: Annotated[
        str | None,
        caption_option(
            help="Describe tracks by their sound (instruments, mood, tempo, key) with this "
            "embedder, and make the caption of tracks that have none: clap:FOLDER, "
            f"{CLAP}, or nano-clap for MiniMIDI.",
            show_default="not described",
        ),
    ] = None,
    check_captions: Annotated[
        str | None,
        caption_option(
            help="Compare captions with the sound by an embedder: nano-clap or clap:FOLDER.",
            show_default="not compared",
        ),
    ] = None,
    unsure: Annotated[
        UnsureMode,
        voice_option(
            help="Tracks that may have a voice become regularisation (reg) or are left out (out)."
        ),
    ] = "reg",
    vocal_classifier: Annotated[
        str,
        voice_option(
            help="Classifier that finds voices in the sound: nano, none, clap:FOLDER or FILE.onnx."
        ),
    ] = "nano",
    seed: Annotated[
        int,
        split_option(help="Seed of the splits, of augmentations and of generated music."),
    ] = 0,
    val: Annotated[
        float,
        split_option(
            help="Share of the tracks for validation, 0 to 1, whole artists or albums at a time."
        ),
    ] = 0.1,
    test: Annotated[
        float,
        split_option(
            help="Share of the tracks for testing, 0 to 1, whole artists or albums at a time."
        ),
    ] = 0.1,
    holdout_combos: Annotated[
        int,
        split_option(
            min=0, help="Keep this many of the rarest combinations of instruments for testing."
        ),
    ] = 0,
    repeats: Annotated[
        int | None,
        split_option(
            min=1,
            help="How often an epoch uses each training clip.",
            show_default="enough to use every regularisation clip",
        ),
    ] = None,
    reg_repeats: Annotated[
        int,
        reg_option(min=1, help="How often an epoch uses each regularisation clip."),
    ] = 1,
    reg_input: Annotated[
        Path | None,
        reg_option(
            help="Folder of audio files to add as regularisation: music that the model should "
            "not forget.",
            show_default="none",
        ),
    ] = None,
    reg_minimidi: Annotated[
        int,
        reg_option(min=0, help="Number of MiniMIDI pieces to add as regularisation."),
    ] = 0,
    class_words: Annotated[
        str | None,
        reg_option(
            help="Words before the captions of regularisation clips.", show_default="the anchor"
        ),
    ] = None,
    styles: Annotated[
        list[str] | None,
        minimidi_option(
            help="Generate pieces in this style; repeatable.", show_default="seven base styles"
        ),
    ] = None,
    instruments: Annotated[
        list[str] | None,
        minimidi_option(
            help="Keep only pieces in which this instrument plays; repeatable.", show_default="all"
        ),
    ] = None,
    singers: Annotated[
        float,
        minimidi_option(help="Share of the pieces with a synthetic voice, 0 to 1."),
    ] = 0.0,
    mixed_players: Annotated[
        float,
        minimidi_option(
            help="Share of the pieces whose instruments come from all base styles, 0 to 1."
        ),
    ] = 0.0,
    unseen: Annotated[
        bool,
        minimidi_option(
            "--unseen", help="Compose only for pairs of instruments that no other piece combines."
        ),
    ] = False,
    soundfont: Annotated[
        Path | None,
        minimidi_option(
            help="Play the pieces with this SoundFont by FluidSynth.",
            show_default="MiniMIDI's own synthesiser",
        ),
    ] = None,
    midi: Annotated[
        bool,
        minimidi_option("--midi", help="Write a MIDI file beside every image."),
    ] = False,
    ray: Annotated[
        str | None,
        work_option(
            help="Use a Ray cluster: auto, local or HOST:PORT.",
            show_default="processes of this machine",
        ),
    ] = None,
    force: Annotated[
        bool,
        work_option("--force", help="Discard the dataset in OUT and build it from scratch."),
    ] = False,
    yes: YesOption = False,
) -> None:
    """Build a dataset: cut audio into clips; write mel images, captions, splits and a manifest.

    An interrupted build continues when the same command is run again. All clips are measured,
    tracks with a voice are kept out of training, and refusals are listed in rejected.jsonl.

    Example: dmm data build --input ~/music --out data/mine --format sdxl-512
    """
    from ..building.build import build_dataset
    from ..building.options import BuildOptions
    from ..dataset import read_dataset
    from ..fairness import fairness_warnings

    options = BuildOptions(
        source=source, format=format, hop_s=hop, beats=beats, stereo=stereo, pad=pad,
        max_clips_per_track=max_clips_per_track, loudness_lufs=loudness, max_clipped=max_clipped,
        max_silence=max_silence, min_bandwidth_hz=min_bandwidth, duplicates=duplicates,
        augment=parse_augmentations(augment), copies=copies, anchor=anchor, class_words=class_words,
        captions=captions, valid_only=valid_only, caption_column=caption_column,
        describe=describe, caption_embedder=check_captions, vocals=vocals, unsure=unsure,
        vocal_classifier=vocal_classifier, seed=seed, val=val, test=test,
        holdout_combos=holdout_combos, repeats=repeats, reg_repeats=reg_repeats,
        reg_minimidi=reg_minimidi, licence=licence, styles=tuple(styles or ()),
        instruments=tuple(instruments or ()), singers=singers,
        mixed_players=mixed_players, unseen=unseen, soundfont=soundfont, midi=midi,
    )  # fmt: skip
    summary = build_dataset(
        out, options, input=input, reg_input=reg_input, count=count, jobs=jobs,
        ray_address=ray, force=force, tags=tags,
    )  # fmt: skip
    clips = ", ".join(f"{n} {split}" for split, n in summary["clips"].items())
    print(f"{out}: {clips} clips of {summary['tracks']} tracks, {summary['rejected']} refused")
    _print_vae_loss(out, format)
    dataset = read_dataset(out)
    for line in fairness_warnings(dataset.rows, dataset.built["options"]):
        print(f"warning: {line}", file=sys.stderr)


def _print_vae_loss(out: Path, format_name: str) -> None:
    """Print to stderr the loss of test clips in nano's VAE; nothing for other formats."""
    from dmm.engine import ROOT

    from ..inspection.fidelity import write_fidelity_report
    from ..inspection.fidelity_summary import vae_sentences

    nano = ROOT / "models" / "nano" / "nano.safetensors"
    if format_name != "nano" or not nano.is_file() or not any((out / "test").glob("*.flac")):
        return
    for line in vae_sentences(write_fidelity_report(out, nano, None, VAE_TEST_CLIPS)):
        print(f"sound, at best: {line}", file=sys.stderr)
