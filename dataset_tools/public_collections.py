"""Public collections of music that can be downloaded; importing them is fast."""

from dataclasses import dataclass

from dmm.errors import InputError


@dataclass(frozen=True)
class RemoteFile:
    """A file to download; archives are unpacked and then removed."""

    name: str
    size: int
    md5: str

    @property
    def is_archive(self) -> bool:
        """Whether the file is unpacked."""
        return self.name.endswith(".zip")


@dataclass(frozen=True)
class Collection:
    """A public collection of music: its files and where to download them."""

    page: str
    """URL of its web page."""
    licence: str
    files: tuple[RemoteFile, ...]
    file_url: str
    """URL of a file, with ``NAME`` in place of its name."""


COLLECTIONS = {
    "sdd": Collection(
        page="https://zenodo.org/records/10072001",
        licence="captions CC BY-SA 4.0; each track its own, in audio_licenses.txt",
        files=(
            RemoteFile("song_describer.csv", 186_208, "e90e9459c22bfbe69f5462dc1434d573"),
            RemoteFile("audio_metadata.tsv", 97_667, "fa5d126659b08680719d189387d61e39"),
            RemoteFile("audio_licenses.txt", 162_171, "cda13a080c03e14b8319430e1486ae6e"),
            RemoteFile(
                "song_describer_14_04_23.mtg-jamendo.tsv", 108_663,
                "3532f2df8b4c21a7ea85d9121eae244a",
            ),
            RemoteFile("audio.zip", 3_318_019_617, "2126b8facfe9468cf806c6154e09bbe5"),
        ),
        file_url="https://zenodo.org/records/10072001/files/NAME?download=1",
    ),
}  # fmt: skip
"""Sizes and checksums as the page states them for version 1.0.0 of 2023-11-16, copied from another
source on 2026-07-27. Those of the table were compared with the file itself."""


def find_collection(name: str) -> Collection:
    """Return the named collection; InputError lists the known names if it is unknown."""
    if name not in COLLECTIONS:
        raise InputError(f"no collection {name!r}; known: {', '.join(COLLECTIONS)}")
    return COLLECTIONS[name]
