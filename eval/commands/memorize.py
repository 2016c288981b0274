"""``dmm eval memorize``: find clips that may be copies of training clips."""

from pathlib import Path
from typing import Annotated

import typer

from dmm.errors import InputError

from .options import Clips, SharedOptions, print_json, with_shared_options


@with_shared_options
def memorize(
    clips: Clips,
    options: SharedOptions,
    train: Annotated[
        Path | None, typer.Option(help="DATASET or folder that the model was trained on; required.")
    ] = None,
    held_out: Annotated[
        Path | None,
        typer.Option(
            help="Real clips not used for training.", show_default="the test split of TRAIN"
        ),
    ] = None,
) -> None:
    """Find clips that are nearer to a training clip than any held-out real clip is.

    Example: dmm eval memorize clips/ --train data/minimidi
    """
    from ..report.neighbours import copies_json, find_copies
    from ..results import embedder_json, sets_json
    from ..sets import open_clips, open_held_out, open_training
    from .tables import print_copies

    if train is None:
        raise InputError("--train is missing; name the DATASET or folder of the training clips")
    if held_out is None and not (train / "test").is_dir():
        raise InputError(
            f"{train}: has no test split; name real clips not used for training (--held-out)"
        )
    trained = open_training(train, options.embedder, options.ray_address)
    generated = open_clips(clips, options.embedder, 1, options.ray_address)
    real = open_held_out(held_out or train, trained, options.embedder, options.ray_address)
    copies = find_copies(generated, trained, real)
    content = {
        "embedder": embedder_json(options.embedder),
        "sets": sets_json({"clips": generated, "train": trained, "held_out": copies.held_out}),
        **copies_json(generated, copies),
    }
    if options.as_json:
        return print_json(content)
    print_copies(options, content)
