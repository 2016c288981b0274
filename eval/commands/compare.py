"""``dmm eval compare``: two sets of clips of the same prompts and seeds."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from dmm.errors import InputError

from .options import Ears, with_ears


@with_ears
def compare_runs(
    run_a: Annotated[Path, typer.Argument(help="CLIPS of one model, or its RUN.")],
    run_b: Annotated[Path, typer.Argument(help="CLIPS or RUN of another, same prompts and seeds.")],
    ears: Ears,
    dataset: Annotated[
        Path | None, typer.Option(help="Real clips: also compare the distances to them.")
    ] = None,
) -> None:
    """What changes from A to B, over pairs of equal prompt and seed, and how surely.

    Of a RUN it takes the newest previews.

    Example: dmm eval compare clips-before/ clips-after/ --dataset data/minimidi
    """
    from ..results import embedder_json, set_json
    from ..scores import compare
    from ..sets import open_clips, open_reference, pairs_of, read_prompts, sample_of
    from .tables import print_moves

    a, b = (open_clips(folder, ears.embedder, ray=ears.ray) for folder in (run_a, run_b))
    pairs = pairs_of(a, b)
    if len(pairs) < 2:
        raise InputError(
            f"{run_a} and {run_b}: {len(pairs)} clips of equal prompt and seed (ID.json), and a "
            "comparison needs 2 or more; generate both with the same prompts and --seed"
        )
    a, b = (own.only(side) for own, side in zip((a, b), zip(*pairs, strict=True), strict=True))
    real = open_reference(dataset, ears.embedder, ears.ray) if dataset else None
    texts = read_prompts(ears.embedder, a, b, real)
    moves = compare(sample_of(a, real, texts), sample_of(b, real, texts), paired=True)
    content = {
        "embedder": embedder_json(ears.embedder),
        "sets": set_json({"A": a, "B": b} | ({"real": real} if real else {})),
        "pairs": len(pairs),
        "moved": {name: asdict(move) | {"sure": move.sure} for name, move in moves.items()},
    }
    if ears.as_json:
        return ears.print_json(content)
    print_moves(ears, content)
