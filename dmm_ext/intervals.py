"""Intervals of saving, validation and previews, in true optimizer steps."""

import argparse
from dataclasses import dataclass

NEVER = 10**9


@dataclass(frozen=True)
class Intervals:
    """Steps between two saves, validations and previews; None is never."""

    save: int | None
    validate: int | None
    preview: int | None


def disable_engine_intervals(args: argparse.Namespace) -> Intervals:
    """Switch the intervals off in ``args``, as the engine's steps are wrong; returns them."""
    intervals = Intervals(
        args.save_every_n_steps, args.validate_every_n_steps, args.preview_every_n_steps
    )
    args.save_every_n_steps = args.save_every_n_epochs = None
    args.validate_every_n_steps = args.sample_every_n_steps = args.sample_every_n_epochs = None
    args.validate_every_n_epochs = NEVER
    return intervals


def is_due(step: int, interval: int | None) -> bool:
    """Whether a step is a multiple of an interval; never, if there is none.

    >>> is_due(6, 3), is_due(7, 3), is_due(7, None)
    (True, False, False)
    """
    return interval is not None and step % interval == 0
