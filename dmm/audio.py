"""Sound files in and out, as (channels, samples) of 32-bit floats in -1..1.

libsndfile reads wav, flac, ogg, opus and mp3; FFmpeg (through PyAV) what it does not, such as m4a.
"""

import io
import math
from pathlib import Path

import numpy as np
from jaxtyping import Float

from .errors import InputError
from .files import whole_file

CENTRE, LFE = 2, 3
"""Places in the usual channel order: left, right, centre, low frequency, then surround pairs."""


def read_audio(path: Path, sr: int, channels: int) -> Float[np.ndarray, "channels samples"]:
    """The whole file at ``sr`` Hz as 1 or 2 channels.

    Mono is copied to both sides; to mono goes the mean; more than two channels are mixed down to
    stereo. InputError, in one line, for a file that is missing, empty, damaged, without samples,
    or with samples that are not finite.
    """
    if channels not in (1, 2):
        raise ValueError(f"1 or 2 channels; got {channels}")
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: empty (0 bytes); copy it again")
    sound, file_sr = _read_samples(path)
    if sound.shape[1] == 0:
        raise InputError(f"{path}: holds no samples; leave it out")
    if not np.isfinite(sound).all():
        raise InputError(f"{path}: holds NaN or infinite samples; export it again")
    return _resample(_mix(sound, channels), file_sr, sr)


def _read_samples(path: Path) -> tuple[Float[np.ndarray, "file_channels samples"], int]:
    import soundfile

    try:
        samples, sr = soundfile.read(path, dtype="float32", always_2d=True)
        return samples.T, sr
    except soundfile.LibsndfileError:
        return _read_with_ffmpeg(path)


def _read_with_ffmpeg(path: Path) -> tuple[Float[np.ndarray, "file_channels samples"], int]:
    import av
    from av.error import FFmpegError

    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise InputError(f"{path}: holds no sound; leave it out")
            stream = container.streams.audio[0]
            planar = av.AudioResampler(format="fltp")
            # The closing None brings out what the resampler still holds.
            frames = [*container.decode(stream), None]
            blocks = [block.to_ndarray() for frame in frames for block in planar.resample(frame)]
            sr = stream.rate
    except FFmpegError as error:
        raise InputError(
            f"{path}: no sound file that can be read, or damaged; export it again"
        ) from error
    return np.concatenate(blocks or [np.zeros((1, 0), np.float32)], axis=1), sr


def _mix(
    sound: Float[np.ndarray, "file_channels samples"], channels: int
) -> Float[np.ndarray, "channels samples"]:
    if channels == len(sound):
        return sound
    if channels == 1:
        return sound.mean(0, keepdims=True)
    return np.repeat(sound, 2, axis=0) if len(sound) == 1 else _stereo_downmix(len(sound)) @ sound


def _stereo_downmix(file_channels: int) -> Float[np.ndarray, "2 file_channels"]:
    """Centre and surround at -3 dB, no low-frequency channel (ITU-R BS.775), never louder than 1.

    >>> _stereo_downmix(4).round(2)  # four channels are two pairs: front and back
    array([[0.59, 0.  , 0.41, 0.  ],
           [0.  , 0.59, 0.  , 0.41]], dtype=float32)
    """
    weights = np.zeros((2, file_channels), np.float32)
    first_pair = 2
    if file_channels != 4:
        weights[:, CENTRE], first_pair = math.sqrt(0.5), CENTRE + 1
    if file_channels >= 6:
        first_pair = LFE + 1
    weights[0, 0] = weights[1, 1] = 1
    for place in range(first_pair, file_channels):
        weights[(place - first_pair) % 2, place] = math.sqrt(0.5)
    return weights / weights.sum(1).max()


def _resample(
    sound: Float[np.ndarray, "channels samples"], file_sr: int, sr: int
) -> Float[np.ndarray, "channels resampled"]:
    import soxr

    if file_sr == sr:
        return np.ascontiguousarray(sound)
    return np.ascontiguousarray(soxr.resample(np.ascontiguousarray(sound.T), file_sr, sr).T)


def write_audio(path: Path, audio: Float[np.ndarray, "channels samples"], sr: int) -> None:
    """Write 16-bit .wav or .flac, by the suffix; whole or absent; samples beyond 1 are clipped."""
    import soundfile

    if path.suffix.lower() not in (".wav", ".flac"):
        raise ValueError(f"{path}: sound is written as .wav or .flac")
    if not np.isfinite(audio).all():
        raise ValueError(f"{path}: the sound holds NaN or infinite samples")
    encoded = io.BytesIO()  # libsndfile would hide why writing to a file failed
    kind = path.suffix[1:].upper()
    soundfile.write(encoded, np.clip(audio, -1, 1).T, sr, subtype="PCM_16", format=kind)
    with whole_file(path) as partial:
        partial.write_bytes(encoded.getbuffer())


def loudness_lufs(audio: Float[np.ndarray, "channels samples"], sr: int) -> float:
    """Integrated loudness (ITU-R BS.1770-4); -inf for silence and for less than 0.4 s."""
    import pyloudnorm

    meter = pyloudnorm.Meter(sr)
    if audio.shape[1] < meter.block_size * sr:
        return -math.inf
    with np.errstate(divide="ignore"):
        return float(meter.integrated_loudness(audio.T))
