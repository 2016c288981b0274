"""Write audio block by block at a target loudness, with true peaks below a ceiling.

Loudness is only known at the end, so the audio goes to a temporary file first. If the gain would
lift peaks over the ceiling, a limiter with look-ahead reduces them, and the gain is raised until
the limited audio reaches the target.
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
"""File suffix to libsndfile's format and subtype; MP3 needs libsndfile 1.1."""
CEILING_DBTP = -1.0
"""Highest true peak (BS.1770-4, annex 2) at a target loudness, as streaming services require."""
LOOK_AHEAD_S = 0.005
"""Seconds before and after a peak over which the limiter's gain changes."""
TOLERANCE_LU = 0.05
"""Accepted distance from the target."""
MAX_CORRECTIONS = 6
"""Corrections of the gain before the limiter."""
MIN_SLOPE = 0.2
"""Lower bound on the loudness (LU) assumed to be gained by a decibel of gain."""
OVERSAMPLING = 4
"""Oversampling of BS.1770-4's true peak meter."""
CONTEXT = 32
"""Samples at each side that a block's oversampled values depend on."""
BLOCK_SAMPLES = 1 << 16

Blocks = Iterable[Float[np.ndarray, "channels _samples"]]


@dataclass(frozen=True)
class MasteringMeasurements:
    """Measurements of the audio file written."""

    duration_s: float
    loudness_lufs: float
    """Integrated loudness; -inf for silence."""
    gain_db: float
    """Gain in front of the limiter."""


def check_suffix(path: Path) -> None:
    """InputError for a file suffix that is not .flac, .wav or .mp3."""
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path}: sound is written as {', '.join(FORMATS)}; change the suffix")


def write_mastered(
    path: Path,
    blocks: Blocks,
    sr: int,
    channels: int,
    loudness_lufs: float | None = None,
    loop: bool = False,
) -> MasteringMeasurements:
    """Write .flac, .wav or .mp3 block by block; the file is complete or absent.

    Without ``loudness_lufs`` samples are written unchanged, clipped at full scale. With it,
    integrated loudness is within 0.1 LU of the target as far as the limiter allows; silence stays
    silence. In a ``loop`` the limiter takes the end as the audio before the beginning.
    """
    check_suffix(path)
    with whole_file(path) as partial:
        if loudness_lufs is None:
            meter = LoudnessMeter(sr, channels)
            n = _write_and_count_samples(partial, _metered(blocks, meter), sr, channels)
            return MasteringMeasurements(n / sr, meter.integrated_lufs(), 0.0)
        with tempfile.TemporaryFile(dir=path.parent) as file:
            spool = _Spool(file, sr, channels, loop)
            spool.fill_and_measure(blocks)
            gain_db, limited = spool.gain_and_need_of_limiter(loudness_lufs)
            meter = LoudnessMeter(sr, channels)
            n = _write_and_count_samples(
                partial,
                _metered(spool.amplified_and_limited(gain_db, limited), meter),
                sr,
                channels,
            )
    return MasteringMeasurements(n / sr, meter.integrated_lufs(), gain_db)


def _metered(blocks: Blocks, meter: LoudnessMeter) -> Iterator[np.ndarray]:
    for block in blocks:
        meter.add(block)
        yield block


def _write_and_count_samples(path: Path, blocks: Blocks, sr: int, channels: int) -> int:
    """Write and return the number of samples; OSError for a full disk, which libsndfile hides."""
    import soundfile

    kind, subtype = FORMATS[path.suffix.lower()]
    n_samples = 0
    with path.open("wb+", buffering=0) as file:
        sink: Any = _ErrorKeepingFile(file)  # soundfile's own annotation asks for a whole BinaryIO
        with soundfile.SoundFile(sink, "w", sr, channels, subtype, format=kind) as sound:
            for block in blocks:
                sound.write(np.clip(block, -1, 1).T)
                n_samples += block.shape[1]
                sink.raise_kept_error()
        sink.raise_kept_error()
    return n_samples


class _ErrorKeepingFile:
    """A file that keeps write errors for later: libsndfile's C code would lose the exception.

    The file is unbuffered, so only ``write`` can fail.
    """

    def __init__(self, file: FileIO) -> None:
        self.file, self.error = file, None
        self.seek, self.tell, self.read = file.seek, file.tell, file.read

    def write(self, data: bytes) -> int:
        """Write all bytes, or keep the error."""
        left = memoryview(data)
        try:
            while left and not self.error:
                left = left[self.file.write(left) :]
        except OSError as error:
            self.error = error
        return len(data)

    def raise_kept_error(self) -> None:
        """Raise the error that was kept."""
        if self.error:
            raise self.error


@dataclass
class _Spool:
    """All of the audio as 32-bit floats in a temporary file, with its loudness and true peak."""

    file: IO[bytes]
    sr: int
    channels: int
    loop: bool
    loudness_lufs: float = -math.inf
    true_peak: float = 0.0

    def fill_and_measure(self, blocks: Blocks) -> None:
        """Store the audio and measure it."""
        meter = LoudnessMeter(self.sr, self.channels)

        def stored() -> Iterator[np.ndarray]:
            for block in _metered(blocks, meter):
                self.file.write(np.ascontiguousarray(block.T, dtype=np.float32).tobytes())
                yield block

        for around in with_context(stored(), CONTEXT):
            peak = float(true_peaks(around)[CONTEXT:-CONTEXT].max())
            self.true_peak = max(self.true_peak, peak)
        self.loudness_lufs = meter.integrated_lufs()

    def gain_and_need_of_limiter(self, target_lufs: float) -> tuple[float, bool]:
        """The gain (dB) that reaches the target loudness, and whether it needs the limiter."""
        if not math.isfinite(self.loudness_lufs):
            return 0.0, False
        gain_db = target_lufs - self.loudness_lufs
        if self.true_peak * 10 ** (gain_db / 20) <= 10 ** (CEILING_DBTP / 20):
            return gain_db, False
        before_db, before_lufs = 0.0, self.loudness_lufs
        for _ in range(MAX_CORRECTIONS):
            meter = LoudnessMeter(self.sr, self.channels)
            for _ in _metered(self.amplified_and_limited(gain_db, limited=True), meter):
                pass
            reached_lufs = meter.integrated_lufs()
            if abs(target_lufs - reached_lufs) < TOLERANCE_LU:
                break
            # The limiter takes away part of each added decibel.
            step_db = gain_db - before_db
            slope = (reached_lufs - before_lufs) / step_db if step_db else 1
            before_db, before_lufs = gain_db, reached_lufs
            gain_db += (target_lufs - reached_lufs) / min(max(slope, MIN_SLOPE), 1)
        return gain_db, True

    def amplified_and_limited(
        self, gain_db: float, limited: bool
    ) -> Iterator[Float[np.ndarray, "channels _samples"]]:
        """The stored audio with gain, through the limiter if needed."""
        gain = np.float32(10 ** (gain_db / 20))
        blocks = (gain * block for block in self._read_blocks())
        if not limited:
            return blocks
        n = limiter_context(self.sr)
        return limit_peaks(
            blocks, self.sr, around=self._samples_around_loop(n, gain) if self.loop else None
        )

    def _read_blocks(self) -> Iterator[Float[np.ndarray, "channels _samples"]]:
        self.file.seek(0)
        while data := self.file.read(4 * self.channels * BLOCK_SAMPLES):
            yield self._samples_from_bytes(data)

    def _samples_around_loop(self, n: int, gain: np.float32) -> Ends:
        """The samples before and after a loop: its own last and first ones."""
        self.file.seek(0)
        head = self._samples_from_bytes(self.file.read(4 * self.channels * n))
        self.file.seek(-4 * self.channels * head.shape[1], os.SEEK_END)
        return gain * self._samples_from_bytes(self.file.read()), gain * head

    def _samples_from_bytes(self, data: bytes) -> Float[np.ndarray, "channels _samples"]:
        return np.frombuffer(data, np.float32).reshape(-1, self.channels).T


def limiter_context(sr: int) -> int:
    """Samples at each side that the limiter's gain depends on."""
    return 2 * _look_ahead_samples(sr) + CONTEXT


def _look_ahead_samples(sr: int) -> int:
    return max(1, round(LOOK_AHEAD_S * sr))


def limit_peaks(
    blocks: Blocks,
    sr: int,
    ceiling: float = 10 ** (CEILING_DBTP / 20),
    around: Ends | None = None,
) -> Iterator[Float[np.ndarray, "channels _samples"]]:
    """Reduce peaks over the ceiling by a smooth gain that begins to fall just before them.

    The gain is the minimum that any true peak within the look-ahead allows, averaged over the same
    time; so each average contains only gains that its own sample's peak allows. ``around`` holds
    the audio before and after, ``limiter_context`` samples or fewer; None is silence.
    """
    from scipy.ndimage import minimum_filter1d

    half, context = _look_ahead_samples(sr), limiter_context(sr)
    fade = np.hanning(2 * half + 3)[1:-1]
    fade /= fade.sum()
    for wider in with_context(blocks, context, around):
        allowed = np.minimum(1, ceiling / np.maximum(true_peaks(wider), ceiling))
        least = minimum_filter1d(allowed, 2 * half + 1)
        gain = np.convolve(least, fade, "same")[context:-context]
        yield wider[:, context:-context] * gain.astype(np.float32)


def true_peaks(sound: Float[np.ndarray, "channels samples"]) -> Float[np.ndarray, " samples"]:
    """The largest magnitude of the four oversampled values at each sample, over all channels."""
    from scipy.signal import resample_poly

    finer = np.asarray(resample_poly(sound, OVERSAMPLING, 1, axis=1))
    return np.abs(finer).reshape(len(sound), -1, OVERSAMPLING).max((0, 2))
