"""``dmm stitch`` and ``dmm song``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from .codec import QualityName

Quality = Annotated[QualityName, typer.Option(help="Of the inversion: fast, default or best.")]
Loudness = Annotated[
    float | None,
    typer.Option(
        min=-60, max=-1, help="Integrated loudness in LUFS, such as -14; default: as it is."
    ),
]
Precision = Literal["auto", "fp32", "fp16", "bf16"]
Offload = Literal["none", "model", "sequential"]


def stitch(
    clips: Annotated[list[Path], typer.Argument(help="Mel images, or a CLIPS folder.")],
    out: Annotated[Path, typer.Option(help="Sound to write: .flac, .wav or .mp3.")],
    overlap: Annotated[float, typer.Option(min=0, help="Seconds that two clips share.")] = 1.0,
    align: Annotated[bool, typer.Option(help="Let beats and onsets meet.")] = True,
    match_gain: Annotated[bool, typer.Option(help="Let levels meet, register by register.")] = True,
    bpm: Annotated[
        float | None, typer.Option(min=20, max=400, help="Tempo; default: as stated, or heard.")
    ] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Join the last to the first, too.")] = False,
    format: Annotated[  # noqa: A002 - the option's name
        str | None, typer.Option(help="Mel format; default: what the images say, Riffusion's too.")
    ] = None,
    quality: Quality = QualityName.default,
    loudness: Loudness = None,
) -> None:
    """Join finished clips: sound, wide mel image, cue sheet and a JSON with the seam score.

    Example: dmm stitch clips --out song.flac --loudness -14
    """
    from ..codec.mel import load_format
    from ..songs.stitch import Joining, stitch

    joining = Joining(overlap, align, match_gain, bpm, loop)
    fmt = load_format(format) if format else None
    print(*stitch(clips, out, joining, quality.value, loudness, fmt), sep="\n")


def song(
    model: Annotated[Path, typer.Option(help="SD 1.5 or SDXL checkpoint, one .safetensors file.")],
    out: Annotated[Path, typer.Option(help="Sound to write: .flac, .wav or .mp3.")],
    timeline: Annotated[
        Path | None, typer.Option(help="TOML: [[part]] with start, seconds, prompt.")
    ] = None,
    prompt: Annotated[str | None, typer.Option(help="What to play throughout.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Length, with --prompt.")] = None,
    bars: Annotated[int | None, typer.Option(min=1, help="Length in bars of four beats.")] = None,
    bpm: Annotated[float | None, typer.Option(min=20, max=400, help="Tempo of --bars.")] = None,
    loop: Annotated[bool, typer.Option("--loop", help="End where it begins.")] = False,
    lora: Annotated[
        list[str] | None, typer.Option(help="LoRA, FILE or FILE:WEIGHT; may be repeated.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of all noise.")] = 0,
    steps: Annotated[int, typer.Option(min=1, help="Sampling steps.")] = 25,
    guidance: Annotated[float, typer.Option(help="Classifier-free guidance; 1 is none.")] = 5.0,
    negative_prompt: Annotated[str, typer.Option(help="What to stay away from.")] = "",
    sampler: Annotated[str, typer.Option(help="euler, ddim, dpmsolver++ ...")] = "dpmsolver++",
    anchor: Annotated[
        str | None, typer.Option(help="Words before every prompt; default: the LoRA's own.")
    ] = None,
    no_anchor: Annotated[bool, typer.Option("--no-anchor", help="No such words.")] = False,
    format: Annotated[  # noqa: A002 - the option's name
        str | None, typer.Option(help="Mel format; default: the LoRA's, the model's, or sdxl-512.")
    ] = None,
    stereo: Annotated[
        bool | None, typer.Option("--stereo/--mono", help="Default: as the model was trained.")
    ] = None,
    overlap: Annotated[float, typer.Option(help="Share of a window the next covers, too.")] = 0.25,
    batch: Annotated[int, typer.Option(min=1, help="Windows predicted at once.")] = 4,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[Precision, typer.Option(help="auto, fp32, fp16 or bf16.")] = "auto",
    offload: Annotated[Offload, typer.Option(help="none, model or sequential.")] = "none",
    quality: Quality = QualityName.default,
    loudness: Loudness = None,
) -> None:
    """Make a piece of any length by joint diffusion: sound, wide mel image, cue sheet, JSON.

    Example: dmm song --model models/nano/nano.safetensors --timeline song.toml --out song.mp3
    """
    from ..generation.loaded_model import Studio
    from ..generation.loading import Lora
    from ..generation.recipe import make_recipe
    from ..generation.sampling import Sampling
    from ..songs.plan import Take
    from ..songs.playing import song
    from ..songs.timeline import choose_timeline

    piece = choose_timeline(timeline, prompt, seconds, bars, bpm)
    loras = [Lora.parse(text) for text in lora or ()]
    recipe = make_recipe(
        model,
        loras,
        Sampling(sampler, steps, guidance, negative_prompt),
        format,
        "" if no_anchor else anchor,
        stereo,
    )
    studio = Studio(model, loras, device, precision, offload)
    take = Take(seed, overlap, loop, batch)
    print(*song(piece, studio, recipe, out, take, quality.value, loudness), sep="\n")
