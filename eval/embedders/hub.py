"""CLAP checkpoints by their name on the Hugging Face Hub: from the local cache, else downloaded.

Only safetensors, JSON and tokeniser files are downloaded, never a pickle.
"""

import re
from pathlib import Path
from typing import Any

from dmm.checkpoints.tokenizers import hub_answers
from dmm.errors import ModelError

NAME = re.compile(r"(?P<name>[\w-][\w.-]*/[\w-][\w.-]*)(@(?P<revision>[\w.-]+))?")
"""A Hub name, and after ``@`` the commit, branch or tag to take."""
CHECKPOINT_FILES = ["*.safetensors", "*.json", "vocab.json", "merges.txt"]


def find_or_download_checkpoint(weights: Path) -> Path:
    """The folder itself, or the Hub's cache of a Hub name, downloaded if needed.

    ModelError if it is neither, or cannot be downloaded.
    """
    if weights.is_dir():
        return weights
    name = weights.as_posix()
    if weights.exists() or not NAME.fullmatch(name):
        raise ModelError(
            f"{weights}: no folder with a CLAP checkpoint; name one with --weights DIR, or a .pt "
            "file with --embedder laion-clap"
        )
    folder = cached_folder(name, CHECKPOINT_FILES)
    return folder if folder and _is_complete(folder) else _download(name)


def cached_folder(name: str, patterns: list[str]) -> Path | None:
    """Folder of a Hub name's cached files, or None; the network is not used."""
    try:
        return _fetch_snapshot(name, allow_patterns=patterns, local_files_only=True)
    except OSError:
        return None


def _is_complete(folder: Path) -> bool:
    """Whether a folder has the configurations and weights of a checkpoint."""
    needed = ("config.json", "preprocessor_config.json")
    return all((folder / n).is_file() for n in needed) and any(folder.glob("*.safetensors"))


def _download(name: str) -> Path:
    """Download a checkpoint into the Hub's cache; ModelError if that fails."""
    if not hub_answers():
        raise ModelError(
            f"{name}: no such folder, not in the Hub's cache, and the Hub does not answer; "
            f"run `hf download {name}` where there is a network, or name a folder with --weights "
            "DIR"
        )
    try:
        return _fetch_snapshot(name, allow_patterns=CHECKPOINT_FILES)
    except OSError as error:
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(
            f"{name}: cannot be downloaded from the Hub ({reason}); check the name, or name a "
            "folder with --weights DIR"
        ) from error


def _fetch_snapshot(name: str, **options: Any) -> Path:
    """Folder with the files of ``NAME`` or ``NAME@REVISION``."""
    from huggingface_hub import snapshot_download

    found = NAME.fullmatch(name)
    repository, revision = (found["name"], found["revision"]) if found else (name, None)
    return Path(snapshot_download(repository, revision=revision, **options))
