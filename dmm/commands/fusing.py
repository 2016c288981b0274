"""``dmm fuse`` and ``dmm unfuse``."""

import json as json_format
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Precision(StrEnum):
    """How weights are written."""

    fp16 = "fp16"
    bf16 = "bf16"
    fp32 = "fp32"


def fuse(
    base: Annotated[Path, typer.Argument(help="SD 1.5 or SDXL checkpoint, one .safetensors file.")],
    lora: Annotated[
        list[str],
        typer.Option(help="LoRA of that base, with :RATIO where it is not 1; repeatable."),
    ],
    out: Annotated[Path, typer.Option(help="Checkpoint to write, a .safetensors file.")],
    precision: Annotated[
        Precision | None, typer.Option(help="fp16, bf16 or fp32; default: the base's own.")
    ] = None,
    diffusers: Annotated[
        Path | None, typer.Option(help="Also write a folder for diffusers there.")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Draw with base and LoRA, and with the fused file.")
    ] = False,
    prompt: Annotated[str, typer.Option(help="With --verify: what to draw.")] = "piano, slow",
    seed: Annotated[int, typer.Option(help="With --verify: from which noise.")] = 0,
    steps: Annotated[int, typer.Option(min=1, help="With --verify: sampling steps.")] = 4,
) -> None:
    """Add LoRAs to a base: one checkpoint that needs none any more; prints its path.

    Memory holds the LoRAs and one tensor at a time, except for --diffusers and --verify.

    Example: dmm fuse models/nano/nano.safetensors --lora models/nano/music-box-lora.safetensors:0.8
    --out music-box.safetensors --verify
    """
    from ..fusing.diffusers_folder import refuse_filled, write_diffusers_folder
    from ..fusing.fuse import fuse as fuse_files
    from ..fusing.verify import verify as compare
    from ..generation.loading import Lora

    loras = [Lora.parse(text) for text in lora]
    if diffusers:
        refuse_filled(diffusers)
    fuse_files(base, loras, out, precision.value if precision else None)
    print(out)
    if diffusers:
        write_diffusers_folder(out, diffusers)
        print(diffusers)
    if verify:
        print(compare(base, loras, out, prompt, seed, steps))


def unfuse(
    base: Annotated[Path, typer.Argument(help="Checkpoint before.")],
    fused: Annotated[Path, typer.Argument(help="Checkpoint after, of the same sizes.")],
    out: Annotated[Path, typer.Option(help="LoRA to write, a .safetensors file.")],
    rank: Annotated[int, typer.Option(min=1, help="Of matrices and 1x1 convolutions.")] = 32,
    conv_rank: Annotated[
        int | None,
        typer.Option(min=0, help="Of wider convolutions; 0 leaves them out; default: --rank."),
    ] = None,
    precision: Annotated[
        Precision | None, typer.Option(help="fp16, bf16 or fp32; default: as the fused file.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Every layer's figures as JSON.")] = False,
) -> None:
    """Extract a LoRA from two checkpoints, a tensor at a time; prints what it keeps of each layer.

    Example: dmm unfuse sd_xl_base_1.0.safetensors tuned.safetensors --out tuned-lora.safetensors
    """
    from dataclasses import asdict

    from ..fusing.unfuse import Ranks
    from ..fusing.unfuse import unfuse as extract

    ranks = Ranks(rank, rank if conv_rank is None else conv_rank)
    found = extract(base, fused, out, ranks, precision.value if precision else None)
    if json:
        print(json_format.dumps(asdict(found), indent=2))
        return
    for layer in sorted(found.layers, key=lambda layer: layer.energy):
        print(f"{layer.energy:9.4%}  rank {layer.rank:<4}{layer.name}")
    print(f"{out}: {len(found.layers)} layers, {found.energy:.2%} of all that differs in them")
    if found.left_out:
        print(
            f"{len(found.left_out)} changed tensors are in no LoRA: {', '.join(found.left_out[:5])}"
        )
