"""Modules of other packages by name, imported on demand: embedders and metrics.

Beside ``COMMANDS`` in ``dmm.cli`` this is the only place where modules are named by strings:
import-linter cannot see those, and ``dmm`` and ``dmm_ext`` must not import ``eval`` directly.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from .embedders import PRECISIONS, PROTOCOLS, Embedder, EmbedderConfig, TextEmbedder
from .errors import InputError

EMBEDDERS = {
    "mel-stats": "eval.embedders.spectral:load_mel_stats",
    "nano-clap": "eval.embedders.nano_clap:load_nano_clap",
    "clap": "eval.embedders.clap_folder:load_clap",
    "laion-clap": "eval.embedders.laion:load_laion_clap",
}
"""Name to loader; a loader takes where the weights are, or None, and an ``EmbedderConfig``."""


def usual_embedder(weights: Path | None) -> str:
    """The embedder that weights are for; without any, the one that needs none.

    >>> [usual_embedder(p and Path(p)) for p in (None, "a.pt", "a.safetensors", "laion/clap")]
    ['nano-clap', 'laion-clap', 'nano-clap', 'clap']
    """
    if weights is None:
        return "nano-clap"
    return {".pt": "laion-clap", ".safetensors": "nano-clap"}.get(weights.suffix, "clap")


def load_embedder(
    name: str,
    weights: Path | None = None,
    protocol: str = PROTOCOLS[0],
    precision: str = PRECISIONS[0],
    device: str = "auto",
) -> Embedder:
    """The named embedder, or InputError that lists the known names, protocols and precisions.

    ``weights`` is a file, a folder or, for ``clap``, a name on the Hub.
    """
    if name not in EMBEDDERS:
        raise InputError(f"no embedder {name!r}; known: {', '.join(sorted(EMBEDDERS))}")
    config = EmbedderConfig(protocol, precision, device)
    load: Callable[[Path | None, EmbedderConfig], Embedder] = _resolve(EMBEDDERS[name])
    return load(weights, config)


def load_text_embedder(
    name: str,
    weights: Path | None = None,
    protocol: str = PROTOCOLS[0],
    precision: str = PRECISIONS[0],
    device: str = "auto",
) -> TextEmbedder:
    """The named embedder of sound and words; InputError if it knows no words."""
    embedder = load_embedder(name, weights, protocol, precision, device)
    if not isinstance(embedder, TextEmbedder):
        raise InputError(f"embedder {name!r} hears but does not read; use nano-clap or clap")
    return embedder


METRICS = {
    "diversity": "eval.metrics.diversity:embedding_diversity",
    "fad": "eval.metrics.fad:frechet_distance",
}
"""Metric to function: of one set of embeddings, or of clips and a reference."""


def load_metric(name: str) -> Callable[..., float]:
    """The named metric; InputError lists the known names if it is unknown."""
    if name not in METRICS:
        raise InputError(f"no metric {name!r}; known: {', '.join(sorted(METRICS))}")
    return _resolve(METRICS[name])


def _resolve(target: str) -> Any:
    """The object that ``module:name`` stands for."""
    module, attribute = target.split(":")
    return getattr(import_module(module), attribute)
