"""The networks that a build runs on clips, loaded once a process: vocal classifier, embedder."""

from functools import cache
from pathlib import Path

from dmm.embedders import TextEmbedder
from dmm.registry import load_text_embedder

from ..vocals.classifier import VocalClassifier, load_classifier


@cache
def load_vocal_classifier(name: str) -> VocalClassifier | None:
    """Load the named classifier, once a process; None for ``none``."""
    return load_classifier(name)


@cache
def load_caption_embedder(name: str) -> TextEmbedder:
    """Load the embedder ``nano-clap`` or ``clap:FOLDER``, once a process.

    InputError if it does not embed text.
    """
    kind, _, folder = name.partition(":")
    return load_text_embedder(kind, Path(folder) if folder else None)


def classifier_version(name: str) -> str | None:
    """Name and version of the classifier as one string; None for ``none``."""
    classifier = load_vocal_classifier(name)
    return f"{classifier.name} {classifier.version}" if classifier else None


def embedder_version(name: str | None) -> str | None:
    """Name and version (weights, protocol, precision, code) of the embedder as one string."""
    if name is None:
        return None
    embedder = load_caption_embedder(name)
    return f"{embedder.name} {embedder.version}"
