"""Sound that comes in blocks, to a file at a wanted loudness, without a peak beyond the ceiling.

Loudness is only known at the end, so the sound goes to a temporary file first. Where the gain
would lift peaks over the ceiling, a limiter with look-ahead turns them down; the gain is then
raised until the limited sound is as loud as wanted.
"""

import math
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from jaxtyping import Float

from ..codec.framing import Ends, with_context
from ..errors import InputError
from ..files import whole_file
from ..sound.loudness import LoudnessMeter

FORMATS = {
    ".flac": ("FLAC", "PCM_16"),
    ".wav": ("WAV", "PCM_16"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}
"""Suffix to libsndfile's names; MP3 needs its version 1.1 or later."""
CEILING_DBTP = -1.0
"""Highest true peak (BS.1770-4, annex 2) once a loudness is asked for, as streaming services do."""
LOOK_AHEAD_S = 0.005
"""The limiter turns down and up again so long around a peak."""
TOLERANCE_LU, ATTEMPTS, LEAST_YIELD = 0.05, 6, 0.2
"""How near is near enough, how often the gain is corrected, and the least it counts for."""
OVERSAMPLING = 4
"""Of BS.1770-4's true peak."""
CONTEXT = 32
"""Samples to each side that the oversampled values of a block depend on."""
BLOCK_SAMPLES = 1 << 16

Blocks = Iterable[Float[np.ndarray, "channels _samples"]]


@dataclass(frozen=True)
class Mastered:
    """What was written."""

    duration_s: float
    loudness_lufs: float
    """Integrated; -inf for silence."""
    gain_db: float
    """Before the limiter."""


def check_sound_name(path: Path) -> None:
    """InputError for a name that does not say how to write sound."""
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path}: sound is written as {', '.join(FORMATS)}; name it so")


def write_sound(
    path: Path,
    blocks: Blocks,
    sr: int,
    channels: int,
    loudness_lufs: float | None = None,
    loop: bool = False,
) -> Mastered:
    """Write .flac, .wav or .mp3 block by block; the file is whole or absent.

    Without ``loudness_lufs`` samples are written as they are, clipped at full scale. With it,
    integrated loudness comes within 0.1 LU where the limiter allows; silence stays silence. Of a
    ``loop`` the limiter hears the end before the beginning.
    """
    check_sound_name(path)
    with whole_file(path) as partial:
        if loudness_lufs is None:
            meter = LoudnessMeter(sr, channels)
            n = _write(partial, _heard(blocks, meter), sr, channels)
            return Mastered(n / sr, meter.integrated_lufs(), 0.0)
        with tempfile.TemporaryFile(dir=path.parent) as file:
            spool = _Spool(file, sr, channels, loop)
            spool.fill(blocks)
            gain_db, limited = spool.gain_db(loudness_lufs)
            meter = LoudnessMeter(sr, channels)
            n = _write(partial, _heard(spool.played(gain_db, limited), meter), sr, channels)
    return Mastered(n / sr, meter.integrated_lufs(), gain_db)


def _heard(blocks: Blocks, meter: LoudnessMeter) -> Iterator[np.ndarray]:
    for block in blocks:
        meter.add(block)
        yield block


def _write(path: Path, blocks: Blocks, sr: int, channels: int) -> int:
    """Samples written; OSError if the disk refuses, which libsndfile would not tell."""
    import soundfile

    kind, subtype = FORMATS[path.suffix.lower()]
    n_samples = 0
    with path.open("wb+", buffering=0) as file:
        sink: Any = _Sink(file)  # soundfile's own annotation asks for a whole BinaryIO
        with soundfile.SoundFile(sink, "w", sr, channels, subtype, format=kind) as sound:
            for block in blocks:
                sound.write(np.clip(block, -1, 1).T)
                n_samples += block.shape[1]
                sink.check()
        sink.check()
    return n_samples


class _Sink:
    """A file whose refusals are kept: libsndfile calls from C, where an exception would be lost.

    The file has no buffer, so that nothing but ``write`` is refused.
    """

    def __init__(self, file: FileIO) -> None:
        self.file, self.error = file, None
        self.seek, self.tell, self.read = file.seek, file.tell, file.read

    def write(self, data: bytes) -> int:
        """Write, or remember why not."""
        left = memoryview(data)
        try:
            while left and not self.error:
                left = left[self.file.write(left) :]
        except OSError as error:
            self.error = error
        return len(data)

    def check(self) -> None:
        """Raise what was remembered."""
        if self.error:
            raise self.error


@dataclass
class _Spool:
    """A whole sound as 32-bit floats in a temporary file, and how loud it is."""

    file: IO[bytes]
    sr: int
    channels: int
    loop: bool
    loudness_lufs: float = -math.inf
    true_peak: float = 0.0

    def fill(self, blocks: Blocks) -> None:
        """Keep the sound, and hear it."""
        meter = LoudnessMeter(self.sr, self.channels)

        def kept() -> Iterator[np.ndarray]:
            for block in _heard(blocks, meter):
                self.file.write(np.ascontiguousarray(block.T, dtype=np.float32).tobytes())
                yield block

        for around in with_context(kept(), CONTEXT):
            peak = float(true_peaks(around)[CONTEXT:-CONTEXT].max())
            self.true_peak = max(self.true_peak, peak)
        self.loudness_lufs = meter.integrated_lufs()

    def gain_db(self, target_lufs: float) -> tuple[float, bool]:
        """The gain that makes the sound as loud as wanted, and whether it needs the limiter."""
        if not math.isfinite(self.loudness_lufs):
            return 0.0, False
        gain_db = target_lufs - self.loudness_lufs
        if self.true_peak * 10 ** (gain_db / 20) <= 10 ** (CEILING_DBTP / 20):
            return gain_db, False
        before_db, before_lufs = 0.0, self.loudness_lufs
        for _ in range(ATTEMPTS):
            meter = LoudnessMeter(self.sr, self.channels)
            for _ in _heard(self.played(gain_db, limited=True), meter):
                pass
            reached_lufs = meter.integrated_lufs()
            if abs(target_lufs - reached_lufs) < TOLERANCE_LU:
                break
            # Against a limiter a decibel of gain buys less than one of loudness.
            step_db = gain_db - before_db
            yields = (reached_lufs - before_lufs) / step_db if step_db else 1
            before_db, before_lufs = gain_db, reached_lufs
            gain_db += (target_lufs - reached_lufs) / min(max(yields, LEAST_YIELD), 1)
        return gain_db, True

    def played(
        self, gain_db: float, limited: bool
    ) -> Iterator[Float[np.ndarray, "channels _samples"]]:
        """The kept sound with gain, through the limiter where it is needed."""
        gain = np.float32(10 ** (gain_db / 20))
        blocks = (gain * block for block in self._blocks())
        if not limited:
            return blocks
        n = limiter_context(self.sr)
        return limit(blocks, self.sr, around=self._around(n, gain) if self.loop else None)

    def _blocks(self) -> Iterator[Float[np.ndarray, "channels _samples"]]:
        self.file.seek(0)
        while data := self.file.read(4 * self.channels * BLOCK_SAMPLES):
            yield self._sound(data)

    def _around(self, n: int, gain: np.float32) -> Ends:
        """What sounds before and after a loop, which is its own end and its own beginning."""
        self.file.seek(0)
        head = self._sound(self.file.read(4 * self.channels * n))
        self.file.seek(-4 * self.channels * head.shape[1], os.SEEK_END)
        return gain * self._sound(self.file.read()), gain * head

    def _sound(self, data: bytes) -> Float[np.ndarray, "channels _samples"]:
        return np.frombuffer(data, np.float32).reshape(-1, self.channels).T


def limiter_context(sr: int) -> int:
    """Samples to each side that the limiter's gain depends on."""
    return 2 * _half(sr) + CONTEXT


def _half(sr: int) -> int:
    return max(1, round(LOOK_AHEAD_S * sr))


def limit(
    blocks: Blocks,
    sr: int,
    ceiling: float = 10 ** (CEILING_DBTP / 20),
    around: Ends | None = None,
) -> Iterator[Float[np.ndarray, "channels _samples"]]:
    """Turn down what passes the ceiling, smoothly and from just before it does.

    The gain is the least that any true peak within the look-ahead asks for, averaged over as long:
    each average holds only values that its own sample's peak allows. ``around`` is what sounds
    before and after, ``limiter_context`` samples or fewer; None is silence.
    """
    from scipy.ndimage import minimum_filter1d

    half, context = _half(sr), limiter_context(sr)
    fade = np.hanning(2 * half + 3)[1:-1]
    fade /= fade.sum()
    for wider in with_context(blocks, context, around):
        allowed = np.minimum(1, ceiling / np.maximum(true_peaks(wider), ceiling))
        least = minimum_filter1d(allowed, 2 * half + 1)
        gain = np.convolve(least, fade, "same")[context:-context]
        yield wider[:, context:-context] * gain.astype(np.float32)


def true_peaks(sound: Float[np.ndarray, "channels samples"]) -> Float[np.ndarray, " samples"]:
    """The highest of the four values from each sample to the next, over all channels."""
    from scipy.signal import resample_poly

    finer = np.asarray(resample_poly(sound, OVERSAMPLING, 1, axis=1))
    return np.abs(finer).reshape(len(sound), -1, OVERSAMPLING).max((0, 2))
