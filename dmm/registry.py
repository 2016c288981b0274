"""Load embedders and metrics of ``eval`` by name, imported on demand.

``dmm`` and ``dmm_ext`` must not import ``eval``. Except for ``COMMANDS`` in ``dmm.cli``, this is
the only place that names modules by strings, which import-linter cannot check.
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
"""Loaders by name; a loader takes the path of weights, or None, and an ``EmbedderConfig``."""


def default_embedder(weights: Path | None) -> str:
    """Name of the embedder that the weights belong to; without weights ``nano-clap``.

    >>> [default_embedder(p and Path(p)) for p in (None, "a.pt", "a.safetensors", "laion/clap")]
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
    """Load an embedder by name; InputError lists the known names, protocols and precisions.

    ``weights`` is a file, a folder or, for ``clap``, a name on the Hub.
    """
    if name not in EMBEDDERS:
        raise InputError(f"no embedder {name!r}; known: {', '.join(sorted(EMBEDDERS))}")
    config = EmbedderConfig(protocol, precision, device)
    load: Callable[[Path | None, EmbedderConfig], Embedder] = _import_object(EMBEDDERS[name])
    return load(weights, config)


def load_text_embedder(
    name: str,
    weights: Path | None = None,
    protocol: str = PROTOCOLS[0],
    precision: str = PRECISIONS[0],
    device: str = "auto",
) -> TextEmbedder:
    """Load an embedder of audio and text by name; InputError if it embeds no text."""
    embedder = load_embedder(name, weights, protocol, precision, device)
    if not isinstance(embedder, TextEmbedder):
        raise InputError(f"embedder {name!r} knows no text; use nano-clap or clap")
    return embedder


REPORT = "eval.report.report:write_report"


def load_report_writer() -> Callable[..., dict[str, Any]]:
    """Load the function that writes the report of ``dmm eval report``."""
    return _import_object(REPORT)


METRICS = {
    "diversity": "eval.metrics.diversity:mean_cosine_distance",
    "fad": "eval.metrics.fad:frechet_distance",
}
"""Functions by metric: of one set of embeddings, or of clips and a reference."""


def load_metric(name: str) -> Callable[..., float]:
    """Load a metric by name; InputError lists the known names."""
    if name not in METRICS:
        raise InputError(f"no metric {name!r}; known: {', '.join(sorted(METRICS))}")
    return _import_object(METRICS[name])


def _import_object(target: str) -> Any:
    """Import the object ``module:name``."""
    module, attribute = target.split(":")
    return getattr(import_module(module), attribute)
