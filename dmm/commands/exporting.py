"""``dmm export``."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    model: Annotated[Path, typer.Argument(help="Checkpoint, one .safetensors file.")],
    out: Annotated[Path, typer.Option(help="BUNDLE folder to write.")],
    lora: Annotated[
        list[str] | None, typer.Option(help="FILE or FILE:WEIGHT; may be given several times.")
    ] = None,
    shard_mb: Annotated[int, typer.Option(min=1, help="Most of a weight file, in MiB.")] = 256,
) -> None:
    """Write a checkpoint as a bundle that a browser, a phone or ONNX Runtime can play.

    Example: dmm export models/nano/nano.safetensors --out nano-bundle
    """
    from ..export.export import export as export_bundle
    from ..generation.loading import Lora
    from ..generation.recipe import make_recipe

    loras = tuple(map(Lora.parse, lora or ()))
    export_bundle(model, out, make_recipe(model, loras), loras, shard_mb)
    print(out)
