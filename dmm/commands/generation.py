"""The command ``dmm generate``."""

from pathlib import Path
from typing import Annotated

import typer

from ..option_bounds import YesOption
from .options import (
    MACHINE,
    PROMPTS,
    AnchorOption,
    DeviceOption,
    FormatOption,
    GuidanceOption,
    LoraOption,
    ModelOption,
    NegativePromptOption,
    NoAnchorOption,
    OffloadOption,
    PrecisionOption,
    SamplerOption,
    StepsOption,
    StereoOption,
)

SOUND, BEST = "Start from a sound", "Best of many"


def generate(
    out: Annotated[
        Path, typer.Option(file_okay=False, help="CLIPS folder to write to, new or existing.")
    ],
    model: ModelOption | None = None,
    bundle: Annotated[
        Path | None, typer.Option(help="BUNDLE of dmm export, in place of --model.")
    ] = None,
    prompt: Annotated[
        list[str] | None, typer.Argument(help="Prompts, each in quotation marks.")
    ] = None,
    lora: LoraOption = None,
    count: Annotated[int, typer.Option(min=1, help="Clips of each prompt.")] = 1,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the first clip; seeds count up.", show_default="0")
    ] = None,
    steps: StepsOption = None,
    guidance: GuidanceOption = None,
    sampler: SamplerOption = None,
    negative_prompt: NegativePromptOption = None,
    prompts: Annotated[
        Path | None,
        typer.Option(
            help="Text file with one prompt a line; # begins a comment.", rich_help_panel=PROMPTS
        ),
    ] = None,
    grammar: Annotated[
        str | None,
        typer.Option(
            help="Grammar of presets/prompts, or a TOML file, to take random prompts from.",
            rich_help_panel=PROMPTS,
        ),
    ] = None,
    draw: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of random prompts from --grammar.", rich_help_panel=PROMPTS
        ),
    ] = None,
    morph: Annotated[
        tuple[str, str] | None,
        typer.Option(
            help="Two prompts: --count clips in even steps from one to the other.",
            rich_help_panel=PROMPTS,
        ),
    ] = None,
    variations: Annotated[
        str | None,
        typer.Option(
            help="ID of a clip in --out: --count clips that resemble it.", rich_help_panel=PROMPTS
        ),
    ] = None,
    variation_strength: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Distance of --variations: 0 is the same clip, 1 like any other seed.",
            rich_help_panel=PROMPTS,
        ),
    ] = 0.2,
    anchor: AnchorOption = None,
    no_anchor: NoAnchorOption = False,
    init: Annotated[
        Path | None,
        typer.Option(help="Audio file to start from instead of noise.", rich_help_panel=SOUND),
    ] = None,
    init_start: Annotated[
        float,
        typer.Option(min=0, help="Second of --init at which clips begin.", rich_help_panel=SOUND),
    ] = 0.0,
    strength: Annotated[
        float | None,
        typer.Option(
            help="Share of --init to replace, over 0 to 1.",
            show_default="0.6, with --mask 1",
            rich_help_panel=SOUND,
        ),
    ] = None,
    mask: Annotated[
        str | None,
        typer.Option(
            help="START-END in seconds of the clip: replace only this span of --init.",
            rich_help_panel=SOUND,
        ),
    ] = None,
    rank: Annotated[
        str | None,
        typer.Option(
            help="nano-clap or clap: embedder that compares clips with their prompt.",
            rich_help_panel=BEST,
        ),
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option(min=1, help="Clips of each prompt to keep, of --count.", rich_help_panel=BEST),
    ] = None,
    floor: Annotated[
        float,
        typer.Option(
            min=0,
            help="Minimum distance between kept clips, relative to the mean between all.",
            rich_help_panel=BEST,
        ),
    ] = 0.5,
    weights: Annotated[
        Path | None,
        typer.Option(help="Folder of the embedder's weights, for clap.", rich_help_panel=BEST),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace clips that exist with other settings.",
            rich_help_panel=MACHINE,
        ),
    ] = False,
    format: FormatOption = None,  # noqa: A002 - the option's name
    stereo: StereoOption = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    offload: OffloadOption = "none",
    batch: Annotated[
        int, typer.Option(min=1, help="Clips generated at once.", rich_help_panel=MACHINE)
    ] = 4,
    ray: Annotated[
        str | None,
        typer.Option(
            help="Ray cluster to use: auto, local or ray://HOST:PORT.", rich_help_panel=MACHINE
        ),
    ] = None,
    yes: YesOption = False,
) -> None:
    """Generate clips from prompts: mel image, FLAC and settings of each; prints the FLAC paths.

    Clips that exist with the same settings are not generated again, so the same command continues
    after an interruption. A seed gives the same clip, whatever else is generated with it.

    Example: dmm generate "piano" --model models/nano/nano.safetensors --out clips
    """
    from ..generation.generate import generate as generate_clips
    from ..generation.init_audio import parse_span
    from ..generation.prompts import gather_prompts

    source = model or bundle
    if source is None or (model and bundle):
        raise typer.BadParameter("name a --model or a --bundle")
    if sum(map(bool, (prompt or prompts or grammar, morph, variations))) != 1:
        raise typer.BadParameter("name what to play: prompts, or --morph, or --variations")
    if morph and (count < 2 or rank):
        raise typer.BadParameter("--morph needs --count 2 or more, and no --rank")
    if bool(rank) != bool(keep) or (keep or 0) > count:
        raise typer.BadParameter("--rank and --keep go together, and --keep is at most --count")
    if draw and not grammar:
        raise typer.BadParameter("--draw takes prompts from a --grammar; name one")
    if not init and (mask or strength is not None or init_start):
        raise typer.BadParameter("--strength, --mask and --init-start need --init")
    sounds = generate_clips(
        gather_prompts(prompt or (), prompts, grammar, draw, seed or 0),
        source,
        out,
        lora or (),
        count=count,
        seed=seed,
        steps=steps,
        guidance=guidance,
        sampler=sampler,
        negative_prompt=negative_prompt,
        anchor="" if no_anchor else anchor,
        format=format,
        stereo=stereo,
        morph=morph,
        variations=variations,
        variation_strength=variation_strength,
        init=init,
        init_start=init_start,
        strength=strength,
        mask=parse_span(mask) if mask else None,
        rank=rank,
        keep=keep or 1,
        floor=floor,
        weights=weights,
        batch_size=batch,
        device=device,
        precision=precision,
        offload=offload,
        ray=ray,
        overwrite=overwrite,
    )
    print(*sounds, sep="\n")
