"""The metrics there are, for those who may not import where they live: named as strings.

Each is a pure function of embeddings (rows of unit length) returning a float; the module that has
it is imported when it is asked for, as embedders are (``dmm.embedders``).
"""

from collections.abc import Callable
from importlib import import_module
from types import ModuleType

from .errors import InputError

METRICS = {
    "diversity": "eval.metrics.diversity:embedding_diversity",
    "fad": "eval.metrics.fad:frechet_distance",
}
"""Name to function: of one set of rows, or of clips and a reference."""


def load_metric(name: str) -> Callable[..., float]:
    """The named metric; InputError lists the known names if there is none."""
    if name not in METRICS:
        raise InputError(f"no metric {name!r}; known: {', '.join(sorted(METRICS))}")
    module, attribute = METRICS[name].split(":")
    return getattr(import_module(module), attribute)


def load_seams() -> ModuleType:
    """The module that says how much joints stand out: its ``band_power`` and ``seam_score``."""
    return import_module("eval.metrics.seams")
