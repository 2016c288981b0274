"""``dmm eval memorize``: clips beside what the model was trained on."""

from pathlib import Path
from typing import Annotated

import typer

from dmm.errors import InputError

from .options import Clips, Ears, with_ears


@with_ears
def memorize(
    clips: Clips,
    ears: Ears,
    train: Annotated[
        Path | None, typer.Option(help="DATASET or folder that the model was trained on.")
    ] = None,
    held_out: Annotated[
        Path | None,
        typer.Option(help="Real clips that were not; default: the test split of TRAIN."),
    ] = None,
) -> None:
    """Which clips lie nearer to a training clip than held-out real clips do, and to which one.

    Example: dmm eval memorize clips/ --train data/minimidi
    """
    from ..report.neighbours import copies_json, find_copies
    from ..results import embedder_json, set_json
    from ..sets import open_clips, open_held_out, open_training
    from .tables import print_copies

    if train is None:
        raise InputError("--train is missing; name the DATASET or folder that was trained on")
    if held_out is None and not (train / "test").is_dir():
        raise InputError(
            f"{train}: has no test split; name real clips that were not trained on (--held-out)"
        )
    trained = open_training(train, ears.embedder, ears.ray)
    own = open_clips(clips, ears.embedder, 1, ears.ray)
    real = open_held_out(held_out or train, trained, ears.embedder, ears.ray)
    copies = find_copies(own, trained, real)
    content = {
        "embedder": embedder_json(ears.embedder),
        "sets": set_json({"clips": own, "train": trained, "held_out": copies.held_out}),
        **copies_json(own, copies),
    }
    if ears.as_json:
        return ears.print_json(content)
    print_copies(ears, content)
