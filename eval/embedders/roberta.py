"""RoBERTa's tokeniser for CLAP's text network, found beside a checkpoint or in the Hub's cache."""

from pathlib import Path
from typing import Any

from dmm.errors import ModelError

from .hub import cached_folder

HUB_NAMES = ("roberta-base", "FacebookAI/roberta-base", "laion/larger_clap_general")
"""Hub names that hold it; all three are the same."""
FILES = ["tokenizer.json", "vocab.json", "merges.txt"]


def find_roberta_tokenizer(beside: Path) -> Path | None:
    """A folder with the tokeniser's files: ``beside`` or its roberta-base/, or the Hub's cache."""
    places = [beside, beside / "roberta-base", *(cached_folder(name, FILES) for name in HUB_NAMES)]
    return next((place for place in places if place and _holds_tokenizer(place)), None)


def find_and_load_tokenizer(beside: Path) -> Any:
    """Load the tokeniser; ModelError if it is missing. The network is not used."""
    folder = find_roberta_tokenizer(beside)
    if folder is None:
        raise ModelError(
            f"{beside}: no RoBERTa tokeniser, which text embeddings need; put roberta-base's "
            "vocab.json and merges.txt there, or run `hf download roberta-base vocab.json "
            "merges.txt` where there is a network"
        )
    return load_tokenizer_from_folder(folder)


def load_tokenizer_from_folder(folder: Path) -> Any:
    """Load the tokeniser from a folder with its files."""
    from transformers import RobertaTokenizerFast

    return RobertaTokenizerFast.from_pretrained(folder, local_files_only=True)


def _holds_tokenizer(folder: Path) -> bool:
    whole, vocabulary, merges = (folder / name for name in FILES)
    return whole.is_file() or (vocabulary.is_file() and merges.is_file())
