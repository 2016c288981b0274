"""Layout of a song: windows on the long latent, each window's prompt mix, and the joints."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from ..codec.mel import MelFormat
from ..errors import InputError
from .latent_windows import OVERLAP, Windows, lay_windows
from .song_files import Span
from .timeline import Timeline

SAME_PROMPT = 0.01
"""Two windows have the same prompt if no part's share differs by more."""


@dataclass(frozen=True)
class SongOptions:
    """Options of joint diffusion for one song."""

    seed: int = 0
    overlap: float = OVERLAP
    """Share of a window that the next one covers too; over 0, at most 0.5."""
    loop: bool = False
    batch_size: int = 4
    """Windows predicted at once."""

    def __post_init__(self) -> None:
        """InputError for an overlap that leaves no joint, or no room between joints."""
        if not 0 < self.overlap <= 0.5:
            raise InputError(f"--overlap {self.overlap:g}: more than 0, and at most 0.5, is needed")


@dataclass(frozen=True)
class SongLayout:
    """A timeline laid out in windows."""

    timeline: Timeline
    options: SongOptions
    windows: Windows
    weights: Float[np.ndarray, "windows parts"]
    """Share of each part's prompt in a window, taken at the window's middle."""
    n_frames: int
    """Image columns of the song."""
    frames_a_column: float
    """Image columns for each latent column; in a loop after the image was stretched."""
    window_s: float
    """Length of a window, which is that of a clip."""

    def joints_and_changes(self) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
        """Overlaps of windows with the same prompt, and of windows with different ones."""
        joints, changes = [], []
        follows = [*self.weights[1:], self.weights[0]]
        pairs = zip(self.windows.joints(), self.weights, follows, strict=False)
        for (start, stop), here, there in pairs:
            is_change = float(np.abs(here - there).max()) > SAME_PROMPT
            span = round(start * self.frames_a_column), round(stop * self.frames_a_column)
            (changes if is_change else joints).append(span)
        return tuple(joints), tuple(changes)

    def as_json(self) -> dict[str, Any]:
        """The layout's part of the song's JSON file."""
        return {
            "timeline": self.timeline.model_dump(mode="json"),
            "seed": self.options.seed,
            "overlap": self.options.overlap,
            "windows": len(self.windows.starts),
            "window_s": round(self.window_s, 3),
        }


def lay_out_song(
    timeline: Timeline, options: SongOptions, fmt: MelFormat, factor: int
) -> SongLayout:
    """Lay out windows as wide as a clip of ``fmt``, ``factor`` image columns a latent column."""
    rate_hz = fmt.sr / fmt.hop_length
    n_frames = timeline.seconds * rate_hz
    n_columns = n_frames / factor
    length = max(1, round(n_columns) if options.loop else int(np.ceil(n_columns - 1e-6)))
    windows = lay_windows(length, fmt.n_frames // factor, options.overlap, options.loop)
    middles = np.array(windows.starts) + windows.width / 2
    if options.loop:
        middles %= windows.length
    times_s = np.minimum(middles * factor / rate_hz, timeline.seconds)
    return SongLayout(
        timeline,
        options,
        windows,
        weights=timeline.weights(times_s.tolist(), options.loop),
        n_frames=max(1, round(n_frames)),
        frames_a_column=n_frames / length if options.loop else float(factor),
        window_s=fmt.clip_duration_s,
    )
