"""``dmm eval compare``: compare two sets of clips with the same prompts and seeds."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from dmm.errors import InputError

from .options import SharedOptions, print_json, with_shared_options


@with_shared_options
def compare_runs(
    run_a: Annotated[Path, typer.Argument(help="CLIPS of one model, or its RUN.")],
    run_b: Annotated[Path, typer.Argument(help="CLIPS or RUN of the other model.")],
    options: SharedOptions,
    dataset: Annotated[
        Path | None,
        typer.Option(help="Real clips: also compare the distances to them.", show_default="none"),
    ] = None,
) -> None:
    """Compare the scores of two sets over pairs of equal prompt and seed, with intervals.

    For a RUN, its newest previews are compared.

    Example: dmm eval compare clips-before/ clips-after/ --dataset data/minimidi
    """
    from ..results import embedder_json, sets_json
    from ..scores import compare_scores
    from ..sets import embed_prompts, make_sample, matched_pairs, open_clips, open_reference
    from .tables import print_changes

    a, b = (
        open_clips(folder, options.embedder, ray_address=options.ray_address)
        for folder in (run_a, run_b)
    )
    pairs = matched_pairs(a, b)
    if len(pairs) < 2:
        raise InputError(
            f"{run_a} and {run_b}: {len(pairs)} clips of equal prompt and seed (ID.json), and a "
            "comparison needs 2 or more; generate both with the same prompts and --seed"
        )
    a, b = (own.subset(side) for own, side in zip((a, b), zip(*pairs, strict=True), strict=True))
    real = open_reference(dataset, options.embedder, options.ray_address) if dataset else None
    texts = embed_prompts(options.embedder, a, b, real)
    changes = compare_scores(make_sample(a, real, texts), make_sample(b, real, texts), paired=True)
    content = {
        "embedder": embedder_json(options.embedder),
        "sets": sets_json({"A": a, "B": b} | ({"real": real} if real else {})),
        "pairs": len(pairs),
        "moved": {
            name: asdict(own) | {"sure": own.is_significant} for name, own in changes.items()
        },
    }
    if options.as_json:
        return print_json(content)
    print_changes(options, content)
