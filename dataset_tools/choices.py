"""Values that options of a build may have; importing them is fast, unlike importing the build."""

from typing import Literal

SOURCE_NAMES = ("folder", "minimidi", "sdd", "suno", "huggingface")
"""Keys of ``dataset_tools.sources.catalogue.SOURCES``."""
CaptionMode = Literal["clean", "reduce"]
VocalMode = Literal["gate", "keep"]
UnsureMode = Literal["reg", "out"]
CLAP = "clap:laion/larger_clap_music"
"""Embedder for music of any kind, as hints name it."""
NANO_CLAP_WARNING = (
    "nano-clap knows only MiniMIDI's music: its instruments, genres and moods mean little for "
    f"other music; use {CLAP}"
)
