"""How often something happens, in true steps; the engine's own counters are switched off."""

import argparse
from dataclasses import dataclass

NEVER = 10**9


@dataclass(frozen=True)
class Every:
    """Steps between two saves, validations and previews; None is never."""

    save: int | None
    validate: int | None
    preview: int | None


def take_over(args: argparse.Namespace) -> Every:
    """Read the intervals, and keep the engine from acting on them at its own step numbers."""
    every = Every(args.save_every_n_steps, args.validate_every_n_steps, args.preview_every_n_steps)
    args.save_every_n_steps = args.save_every_n_epochs = None
    args.validate_every_n_steps = args.sample_every_n_steps = args.sample_every_n_epochs = None
    args.validate_every_n_epochs = NEVER
    return every


def due(step: int, every: int | None) -> bool:
    """Whether it is time.

    >>> due(6, 3), due(7, 3), due(7, None)
    (True, False, False)
    """
    return every is not None and step % every == 0
