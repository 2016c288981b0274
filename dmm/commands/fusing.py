"""The commands ``dmm fuse`` and ``dmm unfuse``."""

import json as json_format
from pathlib import Path
from typing import Annotated

import typer

from ..choices import WeightPrecision

CHECK, RANKS = "Verification", "Ranks"


def fuse(
    base: Annotated[Path, typer.Argument(help="SD 1.5 or SDXL checkpoint, one .safetensors file.")],
    lora: Annotated[
        list[str],
        typer.Option(help="LoRA of that base, as FILE or FILE:RATIO; repeatable."),
    ],
    out: Annotated[
        Path, typer.Option(dir_okay=False, help="Checkpoint to write, a .safetensors file.")
    ],
    precision: Annotated[
        WeightPrecision | None,
        typer.Option(help="Type of the weights written.", show_default="the base's"),
    ] = None,
    diffusers: Annotated[
        Path | None, typer.Option(help="Also write a diffusers folder here.")
    ] = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Compare an image of base and LoRA with one of the fused file.",
            rich_help_panel=CHECK,
        ),
    ] = False,
    prompt: Annotated[
        str, typer.Option(help="Prompt of the images.", rich_help_panel=CHECK)
    ] = "piano, slow",
    seed: Annotated[int, typer.Option(help="Seed of the images.", rich_help_panel=CHECK)] = 0,
    steps: Annotated[int, typer.Option(min=1, help="Sampling steps.", rich_help_panel=CHECK)] = 4,
) -> None:
    """Merge LoRAs into a base: one checkpoint that needs no LoRA; prints its path.

    Memory holds the LoRAs and one tensor at a time, except for --diffusers and --verify.

    Example: dmm fuse models/nano/nano.safetensors --lora models/nano/music-box-lora.safetensors:0.8
    --out music-box.safetensors --verify
    """
    from ..files import refuse_non_empty
    from ..fusing.diffusers_folder import write_diffusers_folder
    from ..fusing.fuse import fuse as fuse_files
    from ..fusing.verify import verify as compare
    from ..generation.loading import Lora

    loras = [Lora.parse(text) for text in lora]
    if diffusers:
        refuse_non_empty(diffusers)
    fuse_files(base, loras, out, precision)
    print(out)
    if diffusers:
        write_diffusers_folder(out, diffusers)
        print(diffusers)
    if verify:
        print(compare(base, loras, out, prompt, seed, steps))


def unfuse(
    base: Annotated[Path, typer.Argument(help="Checkpoint before training or fusing.")],
    fused: Annotated[Path, typer.Argument(help="Checkpoint after it, of the same sizes.")],
    out: Annotated[Path, typer.Option(dir_okay=False, help="LoRA to write, a .safetensors file.")],
    rank: Annotated[
        int,
        typer.Option(
            min=1, help="Rank of linear layers and 1x1 convolutions.", rich_help_panel=RANKS
        ),
    ] = 32,
    conv_rank: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Rank of wider convolutions; 0 leaves them out.",
            show_default="--rank",
            rich_help_panel=RANKS,
        ),
    ] = None,
    precision: Annotated[
        WeightPrecision | None,
        typer.Option(help="Type of the weights written.", show_default="the fused file's"),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print each layer's figures as JSON.")
    ] = False,
) -> None:
    """Extract a LoRA from two checkpoints, a tensor at a time; prints each layer's kept share.

    Example: dmm unfuse sd_xl_base_1.0.safetensors tuned.safetensors --out tuned-lora.safetensors
    """
    from dataclasses import asdict

    from ..fusing.unfuse import Ranks, extract_lora

    ranks = Ranks(rank, rank if conv_rank is None else conv_rank)
    found = extract_lora(base, fused, out, ranks, precision)
    if json:
        print(json_format.dumps(asdict(found), indent=2))
        return
    for layer in sorted(found.layers, key=lambda layer: layer.energy):
        print(f"{layer.energy:9.4%}  rank {layer.rank:<4}{layer.name}")
    print(f"{out}: {len(found.layers)} layers, {found.energy:.2%} of all that differs in them")
    if found.left_out:
        names = ", ".join(found.left_out[:5])
        print(f"{len(found.left_out)} changed tensors are not in the LoRA: {names}")
