"""The commands ``dmm stitch`` and ``dmm song``."""

from pathlib import Path
from typing import Annotated

import typer

from ..option_bounds import YesOption
from .options import (
    MACHINE,
    AnchorOption,
    DeviceOption,
    FormatOption,
    GuidanceOption,
    LoraOption,
    LoudnessOption,
    ModelOption,
    NegativePromptOption,
    NoAnchorOption,
    OffloadOption,
    PrecisionOption,
    QualityOption,
    SamplerOption,
    StepsOption,
    StereoOption,
)

JOINTS, LENGTH = "Joints", "Length and windows"
SoundOption = Annotated[
    Path, typer.Option(dir_okay=False, help="Audio file to write: .flac, .wav or .mp3.")
]


def stitch(
    clips: Annotated[list[Path], typer.Argument(help="Mel images in order, or a CLIPS folder.")],
    out: SoundOption,
    quality: QualityOption = "default",
    loudness: LoudnessOption = None,
    format: Annotated[  # noqa: A002 - the option's name
        str | None,
        typer.Option(help="Mel format of the images.", show_default="as the images state"),
    ] = None,
    overlap: Annotated[
        float, typer.Option(min=0, help="Overlap of two clips in seconds.", rich_help_panel=JOINTS)
    ] = 1.0,
    align: Annotated[
        bool,
        typer.Option(
            help="Change overlaps by up to half a beat, so that beats coincide.",
            rich_help_panel=JOINTS,
        ),
    ] = True,
    match_gain: Annotated[
        bool,
        typer.Option(help="Match levels at joints, by at most 6 dB.", rich_help_panel=JOINTS),
    ] = True,
    bpm: Annotated[
        float | None,
        typer.Option(
            min=20,
            max=400,
            help="Tempo of all clips.",
            show_default="each clip's JSON, else detected",
            rich_help_panel=JOINTS,
        ),
    ] = None,
    loop: Annotated[
        bool,
        typer.Option(
            "--loop", help="Also join the last clip to the first.", rich_help_panel=JOINTS
        ),
    ] = False,
) -> None:
    """Join clips to one song: audio, wide mel image, cue sheet, and JSON with the seam score.

    Example: dmm stitch clips --out song.flac --loudness -14
    """
    from ..codec.mel import load_format
    from ..songs.stitch import StitchOptions, stitch

    options = StitchOptions(overlap, align, match_gain, bpm, loop)
    fmt = load_format(format) if format else None
    print(*stitch(clips, out, options, quality, loudness, fmt), sep="\n")


def song(
    model: ModelOption,
    out: SoundOption,
    prompt: Annotated[str | None, typer.Option(help="Prompt of the whole song.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Length in seconds.")] = None,
    timeline: Annotated[
        Path | None,
        typer.Option(
            help="Instead: TOML file of parts with start, seconds and prompt; see docs/songs.md."
        ),
    ] = None,
    lora: LoraOption = None,
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    steps: StepsOption = None,
    guidance: GuidanceOption = None,
    loudness: LoudnessOption = None,
    bars: Annotated[
        int | None,
        typer.Option(min=1, help="Length in bars of four beats.", rich_help_panel=LENGTH),
    ] = None,
    bpm: Annotated[
        float | None,
        typer.Option(min=20, max=400, help="Tempo that --bars count in.", rich_help_panel=LENGTH),
    ] = None,
    loop: Annotated[
        bool,
        typer.Option("--loop", help="Let the end lead into the beginning.", rich_help_panel=LENGTH),
    ] = False,
    sampler: SamplerOption = None,
    negative_prompt: NegativePromptOption = None,
    overlap: Annotated[
        float,
        typer.Option(
            help="Share of a window that the next one covers too, up to 0.5.",
            rich_help_panel=LENGTH,
        ),
    ] = 0.25,
    anchor: AnchorOption = None,
    no_anchor: NoAnchorOption = False,
    format: FormatOption = None,  # noqa: A002 - the option's name
    stereo: StereoOption = None,
    quality: QualityOption = "default",
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    offload: OffloadOption = "none",
    batch: Annotated[
        int, typer.Option(min=1, help="Windows predicted at once.", rich_help_panel=MACHINE)
    ] = 4,
    yes: YesOption = False,
) -> None:
    """Generate a song of any length by joint diffusion: audio, wide mel image, cue sheet, JSON.

    Name a --prompt with its length, or a --timeline of prompts.

    Example: dmm song --model nano.safetensors --prompt "jazz" --seconds 60 --out a.mp3
    """
    from ..songs.song import song as generate_song

    written = generate_song(
        prompt,
        model,
        out,
        lora or (),
        seconds=seconds,
        bars=bars,
        bpm=bpm,
        timeline=timeline,
        loop=loop,
        seed=seed,
        steps=steps,
        guidance=guidance,
        sampler=sampler,
        negative_prompt=negative_prompt,
        anchor="" if no_anchor else anchor,
        format=format,
        stereo=stereo,
        overlap=overlap,
        batch_size=batch,
        quality=quality,
        loudness_lufs=loudness,
        device=device,
        precision=precision,
        offload=offload,
    )
    print(*written, sep="\n")
