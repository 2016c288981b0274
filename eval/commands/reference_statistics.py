"""``dmm eval stats``: save embeddings and statistics of real clips in a file."""

from pathlib import Path
from typing import Annotated

import typer

from .options import Dataset, SharedOptions, print_json, with_shared_options


@with_shared_options
def write_reference_statistics(
    reference: Dataset,
    out: Annotated[Path, typer.Option(help="File to write, .safetensors.")],
    options: SharedOptions,
) -> None:
    """Save embeddings and statistics of the real clips, as a reference for fad, kad and testset.

    Example: dmm eval stats data/minimidi --out minimidi.safetensors
    """
    from ..reference_file import write_statistics
    from ..results import embedder_json, sets_json
    from ..sets import open_reference

    real = open_reference(reference, options.embedder, options.ray_address)
    saved = write_statistics(out, real, options.embedder)
    if options.as_json:
        return print_json(
            {
                "file": out.name,
                "embedder": embedder_json(options.embedder),
                "sets": sets_json({"real": real}),
                "rows": len(saved.rows),
            }
        )
    name = options.embedder.name
    print(f"{out}: {len(real)} clips by {name}, {out.stat().st_size / 1e6:.1f} MB")
