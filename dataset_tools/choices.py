"""Values that options of a build may have; importing them is fast, unlike importing the build."""

from typing import Literal

CaptionMode = Literal["clean", "reduce"]
VocalMode = Literal["gate", "keep"]
UnsureMode = Literal["reg", "out"]
