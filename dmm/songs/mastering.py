"""Sound that comes in blocks, to a file at a wanted loudness, without a peak beyond the ceiling.

Loudness is only known at the end, so the sound goes to a temporary file first. Where the gain
would lift peaks over the ceiling, a limiter with look-ahead turns them down; the gain is then
raised until the limited sound is as loud as wanted.
"""

import math
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from jaxtyping import Float

from ..errors import InputError
from ..files import whole_file
from ..framing import with_context
from ..loudness import LoudnessMeter

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
    path: Path, blocks: Blocks, sr: int, channels: int, loudness_lufs: float | None = None
) -> Mastered:
    """Write .flac, .wav or .mp3 block by block; the file is whole or absent.

    Without ``loudness_lufs`` samples are written as they are, clipped at full scale. With it,
    integrated loudness comes within 0.1 LU where the limiter allows; silence stays silence.
    """
    check_sound_name(path)
    with whole_file(path) as partial:
        if loudness_lufs is None:
            meter = LoudnessMeter(sr, channels)
            n = _write(partial, _heard(blocks, meter), sr, channels)
            return Mastered(n / sr, meter.integrated_lufs(), 0.0)
        with tempfile.TemporaryFile(dir=path.parent) as spool:
            levels = _spool(spool, blocks, sr, channels)
            gain_db, limited = _gain_db(spool, levels, sr, channels, loudness_lufs)
            meter = LoudnessMeter(sr, channels)
            sound = _played(spool, sr, channels, gain_db, limited)
            n = _write(partial, _heard(sound, meter), sr, channels)
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
    with path.open("wb+") as file:
        sink: Any = _Sink(file)  # soundfile's own annotation asks for a whole BinaryIO
        with soundfile.SoundFile(sink, "w", sr, channels, subtype, format=kind) as sound:
            for block in blocks:
                sound.write(np.clip(block, -1, 1).T)
                n_samples += block.shape[1]
                sink.check()
        sink.check()
    return n_samples


class _Sink:
    """A file whose refusals are kept: libsndfile calls from C, where an exception would be lost."""

    def __init__(self, file: Any) -> None:
        self.file, self.error = file, None
        self.seek, self.tell, self.read = file.seek, file.tell, file.read

    def write(self, data: bytes) -> int:
        """Write, or remember why not."""
        try:
            self.file.write(data)
        except OSError as error:
            self.error = error
        return len(data)

    def check(self) -> None:
        """Raise what was remembered."""
        self.file.flush()
        if self.error:
            raise self.error


@dataclass(frozen=True)
class _Levels:
    loudness_lufs: float
    true_peak: float


def _spool(spool: IO[bytes], blocks: Blocks, sr: int, channels: int) -> _Levels:
    """Keep the sound as 32-bit floats, and say how loud it is."""
    meter, peak = LoudnessMeter(sr, channels), 0.0

    def kept() -> Iterator[np.ndarray]:
        for block in _heard(blocks, meter):
            spool.write(np.ascontiguousarray(block.T, dtype=np.float32).tobytes())
            yield block

    for around in with_context(kept(), CONTEXT):
        peak = max(peak, float(true_peaks(around)[CONTEXT:-CONTEXT].max()))
    return _Levels(meter.integrated_lufs(), peak)


def _gain_db(
    spool: IO[bytes], levels: _Levels, sr: int, channels: int, target_lufs: float
) -> tuple[float, bool]:
    """The gain that makes the sound as loud as wanted, and whether it needs the limiter."""
    if not math.isfinite(levels.loudness_lufs):
        return 0.0, False
    gain_db = target_lufs - levels.loudness_lufs
    if levels.true_peak * 10 ** (gain_db / 20) <= 10 ** (CEILING_DBTP / 20):
        return gain_db, False
    before_db, before_lufs = 0.0, levels.loudness_lufs
    for _ in range(ATTEMPTS):
        meter = LoudnessMeter(sr, channels)
        for _ in _heard(_played(spool, sr, channels, gain_db, limited=True), meter):
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


def _played(
    spool: IO[bytes], sr: int, channels: int, gain_db: float, limited: bool
) -> Iterator[Float[np.ndarray, "channels _samples"]]:
    """The kept sound with gain, through the limiter where it is needed."""
    spool.seek(0)
    gain = np.float32(10 ** (gain_db / 20))

    def blocks() -> Iterator[np.ndarray]:
        while data := spool.read(4 * channels * BLOCK_SAMPLES):
            yield gain * np.frombuffer(data, np.float32).reshape(-1, channels).T

    return limit(blocks(), sr) if limited else blocks()


def limit(
    blocks: Blocks, sr: int, ceiling: float = 10 ** (CEILING_DBTP / 20)
) -> Iterator[Float[np.ndarray, "channels _samples"]]:
    """Turn down what passes the ceiling, smoothly and from just before it does.

    The gain is the least that any true peak within the look-ahead asks for, averaged over as long:
    each average holds only values that its own sample's peak allows.
    """
    from scipy.ndimage import minimum_filter1d

    half = max(1, round(LOOK_AHEAD_S * sr))
    fade = np.hanning(2 * half + 3)[1:-1]
    fade /= fade.sum()
    context = 2 * half + CONTEXT
    for around in with_context(blocks, context):
        allowed = np.minimum(1, ceiling / np.maximum(true_peaks(around), ceiling))
        least = minimum_filter1d(allowed, 2 * half + 1)
        gain = np.convolve(least, fade, "same")[context:-context]
        yield around[:, context:-context] * gain.astype(np.float32)


def true_peaks(sound: Float[np.ndarray, "channels samples"]) -> Float[np.ndarray, " samples"]:
    """The highest of the four values from each sample to the next, over all channels."""
    from scipy.signal import resample_poly

    finer = np.asarray(resample_poly(sound, OVERSAMPLING, 1, axis=1))
    return np.abs(finer).reshape(len(sound), -1, OVERSAMPLING).max((0, 2))
