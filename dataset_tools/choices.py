"""Values that options of a build may have; importing them is fast, unlike importing the build."""

from typing import Literal

SOURCE_NAMES = ("folder", "minimidi", "sdd", "suno", "huggingface")
"""Keys of ``dataset_tools.sources.catalogue.SOURCES``."""
CaptionMode = Literal["clean", "reduce"]
VocalMode = Literal["gate", "keep"]
UnsureMode = Literal["reg", "out"]
