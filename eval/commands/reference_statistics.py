"""``dmm eval stats``: a reference as a file."""

from pathlib import Path
from typing import Annotated

import typer

from .options import Dataset, Ears, with_ears


@with_ears
def stats(
    reference: Dataset,
    out: Annotated[Path, typer.Option(help="File to write, .safetensors.")],
    ears: Ears,
) -> None:
    """Keep what scores need of real clips in a file; fad, kad and testset take it in their place.

    Example: dmm eval stats data/minimidi --out minimidi.safetensors
    """
    from ..reference_file import write_statistics
    from ..results import embedder_json, set_json
    from ..sets import open_reference

    real = open_reference(reference, ears.embedder, ears.ray)
    kept = write_statistics(out, real, ears.embedder)
    if ears.as_json:
        return ears.print_json(
            {
                "file": out.name,
                "embedder": embedder_json(ears.embedder),
                "sets": set_json({"real": real}),
                "rows": len(kept.rows),
            }
        )
    name = ears.embedder.name
    print(f"{out}: {len(real)} clips by {name}, {out.stat().st_size / 1e6:.1f} MB")
