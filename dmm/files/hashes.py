"""Hashes of files."""

import hashlib
from pathlib import Path

from .reading import open_bytes


def sha256_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes; InputError if it is no regular file."""
    with open_bytes(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
