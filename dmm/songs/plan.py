"""How a timeline is laid out: windows on the long latent, what each plays, where they join."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from ..codec.mel import MelFormat
from ..errors import InputError
from .files import Span
from .timeline import Timeline
from .windows import OVERLAP, Windows, lay_windows

SAME_PROMPT = 0.01
"""Windows whose shares of a prompt differ by less play the same."""


@dataclass(frozen=True)
class Take:
    """How a timeline is played."""

    seed: int = 0
    overlap: float = OVERLAP
    """Share of a window that the next one covers, too; more than 0, at most 0.5."""
    loop: bool = False
    batch_size: int = 4
    """Windows predicted at once."""

    def __post_init__(self) -> None:
        """InputError for an overlap that leaves no joint, or nothing between joints."""
        if not 0 < self.overlap <= 0.5:
            raise InputError(f"--overlap {self.overlap:g}: more than 0, and at most 0.5, is needed")


@dataclass(frozen=True)
class Plan:
    """A timeline on windows."""

    timeline: Timeline
    take: Take
    windows: Windows
    weights: Float[np.ndarray, "windows parts"]
    """How much of each part's prompt a window plays: that of its middle."""
    n_frames: int
    """Image columns of the piece."""
    frames_a_column: float
    """Image columns to one of the latent; in a loop those of the image once stretched."""
    window_s: float
    """Length of a window, which is that of a clip."""

    def spans(self) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
        """Image columns of the joints between windows of one prompt, and of those of two."""
        joints, changes = [], []
        follows = [*self.weights[1:], self.weights[0]]
        pairs = zip(self.windows.joints(), self.weights, follows, strict=False)
        for (start, stop), here, there in pairs:
            is_change = float(np.abs(here - there).max()) > SAME_PROMPT
            span = round(start * self.frames_a_column), round(stop * self.frames_a_column)
            (changes if is_change else joints).append(span)
        return tuple(joints), tuple(changes)

    def facts(self) -> dict[str, Any]:
        """What of it belongs into the piece's JSON."""
        return {
            "timeline": self.timeline.model_dump(mode="json"),
            "seed": self.take.seed,
            "overlap": self.take.overlap,
            "windows": len(self.windows.starts),
            "window_s": round(self.window_s, 3),
        }


def make_plan(timeline: Timeline, take: Take, fmt: MelFormat, factor: int) -> Plan:
    """Lay windows, each as wide as a clip of ``fmt``, ``factor`` image columns a latent column."""
    rate_hz = fmt.sr / fmt.hop_length
    n_frames = timeline.seconds * rate_hz
    n_columns = n_frames / factor
    length = max(1, round(n_columns) if take.loop else int(np.ceil(n_columns - 1e-6)))
    windows = lay_windows(length, fmt.n_frames // factor, take.overlap, take.loop)
    middles = np.array(windows.starts) + windows.width / 2
    if take.loop:
        middles %= windows.length
    times_s = np.minimum(middles * factor / rate_hz, timeline.seconds)
    return Plan(
        timeline,
        take,
        windows,
        weights=timeline.weights(times_s.tolist(), take.loop),
        n_frames=max(1, round(n_frames)),
        frames_a_column=n_frames / length if take.loop else float(factor),
        window_s=fmt.clip_duration_s,
    )
