"""``dmm generate``."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

WORDS, DRAWING, SOUND = "What to play", "How it is drawn", "From a sound"
BEST, MACHINE = "The best of many", "Machine"


class PrecisionName(StrEnum):
    """What UNet and text encoders compute in; the VAE is always in fp32."""

    auto = "auto"
    fp32 = "fp32"
    fp16 = "fp16"
    bf16 = "bf16"


class OffloadName(StrEnum):
    """What waits in main memory while something else computes on the card."""

    none = "none"
    model = "model"
    sequential = "sequential"


app = typer.Typer(add_completion=False)


@app.command()
def generate(
    model: Annotated[Path, typer.Option(help="SD 1.5 or SDXL checkpoint, one .safetensors file.")],
    out: Annotated[Path, typer.Option(help="CLIPS folder to write, or to go on with.")],
    prompt: Annotated[list[str] | None, typer.Argument(help="One prompt an argument.")] = None,
    lora: Annotated[
        list[str] | None, typer.Option(help="FILE or FILE:WEIGHT; may be given several times.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Clips of every prompt.")] = 1,
    seed: Annotated[
        int | None, typer.Option(help="Of the first clip; they count up. Default: 0.")
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(help="Text file, a prompt a line; # begins a comment.", rich_help_panel=WORDS),
    ] = None,
    grammar: Annotated[
        str | None,
        typer.Option(help="Of presets/prompts, or a TOML file like them.", rich_help_panel=WORDS),
    ] = None,
    draw: Annotated[
        int | None,
        typer.Option(min=1, help="Prompts to draw from the grammar.", rich_help_panel=WORDS),
    ] = None,
    morph: Annotated[
        tuple[str, str] | None,
        typer.Option(help="From one prompt to another in --count clips.", rich_help_panel=WORDS),
    ] = None,
    variations: Annotated[
        str | None,
        typer.Option(help="ID of a clip in --out to make others near.", rich_help_panel=WORDS),
    ] = None,
    variation_strength: Annotated[
        float,
        typer.Option(min=0, max=1, help="How far from it: 1 is no nearer.", rich_help_panel=WORDS),
    ] = 0.2,
    negative_prompt: Annotated[
        str | None, typer.Option(help="What to stay away from.", rich_help_panel=WORDS)
    ] = None,
    anchor: Annotated[
        str | None,
        typer.Option(
            help="Words before every prompt. Default: those the LoRA was trained with.",
            rich_help_panel=WORDS,
        ),
    ] = None,
    no_anchor: Annotated[
        bool, typer.Option("--no-anchor", help="Nothing before it.", rich_help_panel=WORDS)
    ] = False,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Default: 25.", rich_help_panel=DRAWING)
    ] = None,
    guidance: Annotated[
        float | None,
        typer.Option(help="Classifier-free; 1 is none. Default: 5.", rich_help_panel=DRAWING),
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(
            help="euler, euler-a, heun, lms, dpm2, dpm2-a, dpm++-2m, dpm++-2m-sde, dpm++-2s, "
            "dpm++-sde, deis, unipc, pndm, ddim, ddpm, lcm; some with -karras. "
            "Default: dpm++-2m-karras.",
            rich_help_panel=DRAWING,
        ),
    ] = None,
    format: Annotated[  # noqa: A002 - the option's name
        str | None,
        typer.Option(
            help="Mel format. Default: the LoRA's, the model's, or sdxl-512.",
            rich_help_panel=DRAWING,
        ),
    ] = None,
    stereo: Annotated[
        bool | None,
        typer.Option(
            "--stereo/--mono",
            help="Colours as mid and side, or averaged. Default: as trained.",
            rich_help_panel=DRAWING,
        ),
    ] = None,
    init: Annotated[
        Path | None,
        typer.Option(help="Sound to begin from instead of noise.", rich_help_panel=SOUND),
    ] = None,
    init_start: Annotated[
        float,
        typer.Option(min=0, help="Second of it where the clip begins.", rich_help_panel=SOUND),
    ] = 0.0,
    strength: Annotated[
        float | None,
        typer.Option(
            help="How much is drawn anew, over 0 to 1. Default: 0.6, with --mask 1.",
            rich_help_panel=SOUND,
        ),
    ] = None,
    mask: Annotated[
        str | None,
        typer.Option(
            help="START-END in the clip's seconds: only this is replaced.", rich_help_panel=SOUND
        ),
    ] = None,
    rank: Annotated[
        str | None,
        typer.Option(
            help="nano-clap or clap: keep what answers a prompt best.", rich_help_panel=BEST
        ),
    ] = None,
    keep: Annotated[
        int | None, typer.Option(min=1, help="Of the --count of each prompt.", rich_help_panel=BEST)
    ] = None,
    floor: Annotated[
        float,
        typer.Option(
            min=0,
            help="Least distance between those kept, by the mean between all.",
            rich_help_panel=BEST,
        ),
    ] = 0.5,
    weights: Annotated[
        Path | None, typer.Option(help="Folder of the embedder's weights.", rich_help_panel=BEST)
    ] = None,
    batch: Annotated[
        int, typer.Option(min=1, help="Clips drawn at once.", rich_help_panel=MACHINE)
    ] = 4,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda or mps.", rich_help_panel=MACHINE)
    ] = "auto",
    precision: Annotated[
        PrecisionName,
        typer.Option(help="auto: fp32 on a CPU, bf16 or fp16 on a GPU.", rich_help_panel=MACHINE),
    ] = PrecisionName.auto,
    offload: Annotated[
        OffloadName,
        typer.Option(help="For small cards: model, or sequential.", rich_help_panel=MACHINE),
    ] = OffloadName.none,
    ray: Annotated[
        str | None,
        typer.Option(help="auto, local or ray://HOST:PORT: a cluster.", rich_help_panel=MACHINE),
    ] = None,
) -> None:
    """Make clips from prompts: a picture, its sound and its settings each; prints the sounds.

    A clip that is there with the same settings is not made again, so that an interrupted command
    goes on where it stopped. The same seed gives the same clip, whatever else is made with it.

    Example: dmm generate "lo-fi piano, slow" --model models/nano/nano.safetensors --out clips
    """
    from ..devices import pick_device
    from ..generation.clips import make_clips
    from ..generation.init_audio import parse_span, read_start
    from ..generation.loading import Lora
    from ..generation.making import Order
    from ..generation.prompts import gather_prompts
    from ..generation.ranking import Ranking
    from ..generation.recipe import make_recipe
    from ..generation.requests import morph as morph_requests
    from ..generation.requests import requests
    from ..generation.sampling import Sampling
    from ..generation.variations import read_original

    if sum(map(bool, (prompt or prompts or grammar, morph, variations))) != 1:
        raise typer.BadParameter("what to play: prompts, or --morph, or --variations")
    if morph and (count < 2 or rank):
        raise typer.BadParameter("--morph takes --count 2 or more, and no --rank")
    if bool(rank) != bool(keep) or (keep or 0) > count:
        raise typer.BadParameter("--rank and --keep go together, and --keep is at most --count")
    if draw and not grammar:
        raise typer.BadParameter("--draw takes prompts from a --grammar")
    if not init and (mask or strength is not None or init_start):
        raise typer.BadParameter("--strength, --mask and --init-start say how --init is used")

    original = read_original(out, variations) if variations else None
    drawing = {
        "sampler": sampler, "steps": steps, "guidance": guidance, "negative_prompt": negative_prompt
    }  # fmt: skip
    stated = {key: value for key, value in drawing.items() if value is not None}
    sampling = replace(original.sampling if original else Sampling(), **stated)
    if no_anchor:
        anchor = ""
    elif anchor is None and original:
        anchor = original.anchor
    loras = tuple(map(Lora.parse, lora or ()))
    recipe = make_recipe(model, loras, sampling, format, anchor, stereo)
    if init:
        span = parse_span(mask) if mask else None
        share = strength if strength is not None else 1.0 if mask else 0.6
        start = read_start(init, recipe.fmt, recipe.stereo, share, span, init_start)
        recipe = replace(recipe, start=start)
    ranking = Ranking(rank, keep, floor, weights) if rank and keep else None
    place = device if ray else pick_device(device)
    order = Order(model, recipe, out, loras, place, precision.value, offload.value, batch, ranking)
    studio = order.studio()
    if morph:
        wanted = morph_requests(*morph, count, seed or 0)
    elif original:
        original.check_same(order, studio)
        wanted = original.variations(count, seed, variation_strength)
    else:
        texts = gather_prompts(prompt or (), prompts, grammar, draw, seed or 0)
        wanted = requests(texts, count, seed or 0)
    print(*make_clips(wanted, order, studio, ray=ray), sep="\n")
