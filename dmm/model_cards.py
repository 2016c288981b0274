"""Compare model files with the SHA-256 on their model card, to refuse damaged or altered ones.

A model card is the README.md beside a model file. A row of its table states the hash:
``| sha256 of `nano.safetensors` | `<64 hexadecimal digits>` |``.
"""

import re
from functools import cache
from pathlib import Path

from .errors import ModelError
from .files import read_bytes, sha256_file

_LICENCE = re.compile(r"^\|\s*licence\s*\|\s*(?P<licence>.+?)\s*\|\s*$", re.MULTILINE)
_LINE = re.compile(r"sha256 of `(?P<name>[^`]+)`\s*\|\s*`(?P<sha256>[0-9a-f]{64})`")


def card_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 by file name, from the model card in a folder; empty without a card."""
    card = folder / "README.md"
    if not card.is_file():
        return {}
    text = read_bytes(card).decode("utf-8", "replace")
    return {line["name"]: line["sha256"] for line in _LINE.finditer(text)}


def card_licence(path: Path) -> str | None:
    """The licence in the card beside a model; None if the card has no licence or no hash of it."""
    card = path.parent / "README.md"
    text = read_bytes(card).decode("utf-8", "replace") if card.is_file() else ""
    found = _LICENCE.search(text) if card_hashes(path.parent).get(path.name) else None
    return found and found["licence"]


def verify_against_card(path: Path) -> None:
    """ModelError if the card beside ``path`` states a hash that the file does not have.

    A file without a stated hash passes unread.
    """
    stated = card_hashes(path.parent).get(path.name)
    if stated is None:
        return
    actual = sha256_of(path)
    if actual != stated:
        raise ModelError(
            f"{path}: damaged or altered (sha256 {actual[:12]}…, its card says {stated[:12]}…); "
            f"fetch it again (git checkout {path.name}, or download it)"
        )


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, cached in this process until it changes; ModelError if it is missing."""
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such file; fetch it again (git checkout)") from error
    return _hash(path.resolve(), status.st_size, status.st_mtime_ns)


@cache
def _hash(path: Path, size: int, mtime_ns: int) -> str:
    return sha256_file(path)
