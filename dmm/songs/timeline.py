"""The timeline of a song: a TOML file of parts, each with its prompt.

crossfade_s = 2            # seconds over which one prompt changes into the next

[[part]]
start = 0
seconds = 20
prompt = "lo-fi piano, slow"

[[part]]
start = 20
seconds = 15
prompt = "lo-fi piano and drums, slow"
"""

import difflib
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, Field, ValidationError

from ..errors import InputError
from ..files import read_toml

EQUAL_S = 1e-3
"""Tolerance for the end of one part and the beginning of the next."""
BEATS_PER_BAR = 4


class Part(BaseModel, frozen=True, extra="forbid"):
    """A span of the song with one prompt."""

    start: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Seconds from the beginning of the song."""
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """Length in seconds."""
    prompt: Annotated[str, Field(min_length=1)]
    """Prompt of the part."""

    @property
    def stop(self) -> float:
        """End of the part, in seconds from the beginning of the song."""
        return self.start + self.seconds


class Timeline(BaseModel, frozen=True, extra="forbid"):
    """Parts of a song in order; ``read_timeline`` refuses gaps and overlaps."""

    part: Annotated[tuple[Part, ...], Field(min_length=1)]
    crossfade_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Seconds over which one prompt changes into the next, centred on the border."""

    @property
    def seconds(self) -> float:
        """Length of the song."""
        return self.part[-1].stop

    @property
    def borders_s(self) -> list[float]:
        """Times at which one part ends and the next begins."""
        return [part.start for part in self.part[1:]]

    def weights(
        self, times_s: Sequence[float], loop: bool = False
    ) -> Float[np.ndarray, "times parts"]:
        """Share of each part's prompt at these times; each row adds up to 1.

        With ``loop`` the last part also crossfades into the first, across the song's ends.

        >>> parts = [Part(start=0, seconds=4, prompt="a"), Part(start=4, seconds=4, prompt="b")]
        >>> Timeline(part=parts, crossfade_s=2.0).weights([1.0, 3.5, 4.0, 7.0]).tolist()
        [[1.0, 0.0], [0.75, 0.25], [0.5, 0.5], [0.0, 1.0]]
        """
        passed = np.zeros(len(times_s))
        around = [0.0, self.seconds] if loop else []
        for border_s in [*self.borders_s, *around]:
            passed += self._share_passed(np.asarray(times_s) - border_s)
        place = passed - 1 if loop else passed
        n = len(self.part)
        weights = np.zeros((len(times_s), n))
        rows, first = np.arange(len(times_s)), np.floor(place).astype(int)
        for part, share in ((first, 1 - (place - first)), (first + 1, place - first)):
            np.add.at(weights, (rows, part % n), share)
        return weights

    def _share_passed(self, beyond_s: Float[np.ndarray, " times"]) -> Float[np.ndarray, " times"]:
        """Share of a border's crossfade that is over ``beyond_s`` seconds after it, 0..1."""
        if self.crossfade_s == 0:
            return (beyond_s >= 0).astype(float)
        return (beyond_s / self.crossfade_s + 0.5).clip(0, 1)


def timeline_from_options(
    path: Path | None = None,
    prompt: str | None = None,
    seconds: float | None = None,
    bars: int | None = None,
    bpm: float | None = None,
) -> Timeline:
    """Read a timeline file, or make one part of a prompt and its length.

    The length is in seconds, or in bars of four beats at ``bpm``. InputError if a length is
    missing, given twice, not positive or not finite, or given beside a file, and for a faulty file.
    """
    if path is not None:
        if any(given is not None for given in (prompt, seconds, bars, bpm)):
            raise InputError("--timeline says what and how long; leave out --prompt and its length")
        return read_timeline(path)
    if not prompt:
        raise InputError("nothing to play; name a --prompt, or a --timeline")
    if (bars is None) != (bpm is None) or (seconds is None) == (bars is None):
        raise InputError("how long? --seconds 60, or --bars 4 with --bpm 90")
    if bars is not None and bpm is not None:
        if bars < 1 or not 0 < bpm < math.inf:
            raise InputError(f"--bars {bars} with --bpm {bpm}: no length; both must be positive")
        seconds = bars * BEATS_PER_BAR * 60 / bpm
    assert seconds is not None
    if not 0 < seconds < math.inf:
        raise InputError(f"--seconds {seconds}: no length; name a positive, finite number")
    return Timeline(part=(Part(start=0, seconds=seconds, prompt=prompt),))


def read_timeline(path: Path) -> Timeline:
    """Read a timeline from TOML; InputError that names the file, or its faulty part and setting."""
    stated = read_toml(path)
    try:
        timeline = Timeline(**stated)
    except ValidationError as error:
        raise InputError(f"{path}: {_fault_message(error)}") from error
    _check_no_gaps_or_overlaps(path, timeline)
    return timeline


def _fault_message(error: ValidationError) -> str:
    """One line on the first fault, or on the first unknown key: a missing one may be misspelt."""
    faults = error.errors()
    misspelt = (fault for fault in faults if fault["type"] == "extra_forbidden")
    fault = next(misspelt, faults[0])
    *place, name = fault["loc"]
    where = f"part {int(place[1]) + 1}: " if len(place) > 1 else ""
    if fault["type"] == "extra_forbidden":
        known = (Part if place else Timeline).model_fields
        nearest = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else f"; known: {', '.join(known)}"
        return f"{where}no setting {name!r}{hint}"
    if isinstance(name, int):
        return f"part {name + 1}: a table [[part]] is needed"
    stated = "" if fault["type"] == "missing" else f"; got {fault['input']!r}"
    return f"{where}{name}: {fault['msg'][0].lower()}{fault['msg'][1:]}{stated}"


def _check_no_gaps_or_overlaps(path: Path, timeline: Timeline) -> None:
    """InputError for a start after 0, and for gaps and overlaps of parts by over ``EQUAL_S``."""
    if timeline.part[0].start > EQUAL_S:
        raise InputError(
            f"{path}: nothing plays before {timeline.part[0].start:g} s; begin part 1 at 0"
        )
    for number, (part, following) in enumerate(pairwise(timeline.part), 1):
        apart_s = following.start - part.stop
        if abs(apart_s) > EQUAL_S:
            fault = f"{apart_s:g} s without a part" if apart_s > 0 else f"{-apart_s:g} s with both"
            raise InputError(
                f"{path}: part {number} ends at {part.stop:g} s, but part {number + 1} begins at "
                f"{following.start:g} s: {fault}; let it begin at {part.stop:g}"
            )
