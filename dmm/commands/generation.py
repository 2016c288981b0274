"""``dmm generate``."""

from pathlib import Path
from typing import Annotated

import typer


def generate(
    prompts: Annotated[list[str], typer.Argument(help="What to play, one prompt an argument.")],
    model: Annotated[Path, typer.Option(help="SD 1.5 or SDXL checkpoint, one .safetensors file.")],
    out: Annotated[Path, typer.Option(help="CLIPS folder to write.")],
    lora: Annotated[Path | None, typer.Option(help="LoRA of a training run.")] = None,
    count: Annotated[int, typer.Option(min=1, help="Clips of every prompt.")] = 1,
    seed: Annotated[int, typer.Option(help="Seed of the first clip; they count up.")] = 0,
    format: Annotated[  # noqa: A002 - the option's name
        str | None, typer.Option(help="Mel format; default: the LoRA's, the model's, or sdxl-512.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Sampling steps.")] = 25,
    guidance: Annotated[float, typer.Option(help="Classifier-free guidance; 1 is none.")] = 5.0,
    negative_prompt: Annotated[str, typer.Option(help="What to stay away from.")] = "",
    sampler: Annotated[str, typer.Option(help="dpmsolver++, euler or ddim.")] = "dpmsolver++",
    anchor: Annotated[
        str | None, typer.Option(help="Words before every prompt; default: the LoRA's own.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Clips drawn at once.")] = 4,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Make clips from prompts: a picture, its sound and its settings each; prints the sounds.

    Example: dmm generate "lo-fi piano, slow" --model models/nano/nano.safetensors --out clips
    """
    from ..generate import generate
    from ..generation.sampling import Sampling

    sampling = Sampling(sampler, steps, guidance, negative_prompt)
    paths = generate(
        prompts, model, out, lora, count, seed, format, sampling, anchor, batch_size, device
    )
    print(*paths, sep="\n")
