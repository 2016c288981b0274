"""What listens while a dataset is built: a vocal classifier, an embedder, and their versions."""

from functools import cache
from pathlib import Path

from dmm.embedders import TextEmbedder
from dmm.registry import load_text_embedder

from ..vocals.classifier import VocalClassifier, load_classifier


@cache
def vocal_classifier(name: str) -> VocalClassifier | None:
    """The named classifier, loaded once a process; None for ``none``."""
    return load_classifier(name)


@cache
def caption_checker(name: str) -> TextEmbedder:
    """The embedder of ``nano-clap`` or ``clap:FOLDER``, loaded once a process.

    InputError if it knows no words.
    """
    kind, _, folder = name.partition(":")
    return load_text_embedder(kind, Path(folder) if folder else None)


def classifier_version(name: str) -> str | None:
    """Name and hash of the classifier's weights; None if none listens."""
    classifier = vocal_classifier(name)
    return f"{classifier.name} {classifier.version}" if classifier else None


def embedder_version(name: str | None) -> str | None:
    """Name and hash of the embedder's weights; InputError if it knows no words."""
    if name is None:
        return None
    embedder = caption_checker(name)
    return f"{embedder.name} {embedder.version}"
