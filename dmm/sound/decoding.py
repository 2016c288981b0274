"""Decode an audio file in blocks; refuse files that are protected, damaged or truncated.

libsndfile reads wav, flac, ogg, opus and mp3. FFmpeg (through PyAV) reads the others, such as m4a,
and mp3 without a length in its header.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ..errors import InputError
from ..files import open_bytes

if TYPE_CHECKING:
    import av

SHORTFALL_S = 1.0
"""Tolerated difference to the stated length: encoders may count their own padding."""
OGG_PAGE = 65307
"""Largest page of an Ogg file in bytes (RFC 3533, section 6)."""
END_OF_STREAM = 4
"""Flag of the last page of an Ogg stream."""
AUDIO_SUFFIXES = {
    ".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".m4p", ".aac", ".aif", ".aiff",
}  # fmt: skip
"""Suffixes of files that may hold sound; reading them shows whether they do."""
PROTECTED = {"drms", "enca", "aavd"}
"""Codec tags of encrypted audio in MP4 files: iTunes, common encryption, Audible."""


def decode_blocks(
    path: Path, block_s: float
) -> Iterator[tuple[Float[np.ndarray, "file_channels samples"], int]]:
    """Yield (block, sample rate); InputError for a file that is protected, damaged or truncated.

    Each block has at least one sample.
    """
    import soundfile

    try:
        file = soundfile.SoundFile(path)
    except soundfile.LibsndfileError:
        file = None
    if file and file.format == "MP3" and not _mp3_states_length(path):
        file = file.close()
    if file is None:
        yield from _decode_with_ffmpeg(path, block_s)
        return
    with file:
        sr, n_read, declared_s = file.samplerate, 0, file.frames / file.samplerate
        try:
            size = max(1, round(block_s * sr))
            while len(block := file.read(size, dtype="float32", always_2d=True)):
                n_read += len(block)
                yield block.T, sr
        except soundfile.LibsndfileError as error:
            raise _truncated_error(path, n_read / sr, declared_s) from error
    _check_length(path, n_read / sr, declared_s)
    _check_file_complete(path, n_read / sr)


def _decode_with_ffmpeg(
    path: Path, block_s: float
) -> Iterator[tuple[Float[np.ndarray, "file_channels samples"], int]]:
    import av
    from av.error import FFmpegError

    decoded_s, declared_s = 0.0, None
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise InputError(f"{path}: holds no sound; leave it out")
            stream = container.streams.audio[0]
            context = stream.codec_context
            if context is None or context.codec_tag in PROTECTED:
                raise InputError(f"{path}: protected (DRM) or of unknown codec; leave it out")
            if "mp4" in container.format.name and stream.duration and stream.time_base:
                declared_s = float(stream.duration * stream.time_base)
            for block, sr in _joined_frames(container.decode(stream), block_s):
                decoded_s += block.shape[1] / sr
                yield block, sr
    except FFmpegError as error:
        if decoded_s:
            raise _truncated_error(path, decoded_s, declared_s) from error
        raise InputError(
            f"{path}: no sound file that can be read, or damaged; export it again"
        ) from error
    _check_length(path, decoded_s, declared_s)


def _joined_frames(
    frames: "Iterable[av.AudioFrame]", block_s: float
) -> Iterator[tuple[Float[np.ndarray, "file_channels samples"], int]]:
    """Join FFmpeg's frames of about 20 ms to blocks."""
    import av

    planar = av.AudioResampler(format="fltp")
    held: list[np.ndarray] = []
    sr = 1
    # The closing None flushes the resampler.
    for frame in chain(frames, [None]):
        for piece in planar.resample(frame):
            held.append(piece.to_ndarray())
            sr = piece.sample_rate
        if held and (frame is None or sum(h.shape[1] for h in held) >= block_s * sr):
            yield np.concatenate(held, axis=1), sr
            held = []


def _mp3_states_length(mp3: Path) -> bool:
    """Whether there is a Xing, LAME or VBRI header; without one libsndfile stops at a guess."""
    with open_bytes(mp3) as file:
        head = file.read(10)
        if head[:3] == b"ID3":  # the length of the tag is four bytes of seven bits
            file.seek(sum(byte << 7 * place for place, byte in enumerate(head[:5:-1])), 1)
        frame = head + file.read(4096)
    return any(mark in frame for mark in (b"Xing", b"Info", b"VBRI"))


def _check_length(path: Path, decoded_s: float, declared_s: float | None) -> None:
    if declared_s is not None and decoded_s < declared_s - SHORTFALL_S:
        raise _truncated_error(path, decoded_s, declared_s)


def _check_file_complete(path: Path, decoded_s: float) -> None:
    """Refuse a wav or aiff with fewer bytes than stated, and an Ogg file with a cut last page.

    libsndfile reads these to their last byte without an error.
    """
    with open_bytes(path) as file:
        head = file.read(12)
        size = file.seek(0, 2)
        file.seek(max(0, size - OGG_PAGE))
        tail = file.read()
    if head[:4] in (b"RIFF", b"FORM"):
        declared = 8 + int.from_bytes(head[4:8], "little" if head[:4] == b"RIFF" else "big")
        # All ones: written to a pipe, of unknown length.
        if declared < 0xFFFFFFFF and size:
            _check_length(path, decoded_s, decoded_s * declared / size)
    elif head[:4] == b"OggS" and _is_page_cut(tail[tail.rfind(b"OggS") :]):
        raise _truncated_error(path, decoded_s, None)


def _is_page_cut(page: bytes) -> bool:
    """Whether an Ogg page has fewer bytes than its header states, unless it ends its stream."""
    if len(page) < 27 or len(page) < 27 + page[26]:
        return True
    n_segments = page[26]
    stated = 27 + n_segments + sum(page[27 : 27 + n_segments])
    return len(page) < stated and not page[5] & END_OF_STREAM


def _truncated_error(path: Path, decoded_s: float, declared_s: float | None) -> InputError:
    """The error for a file that ends before its stated length."""
    of = "" if declared_s is None else f" of {declared_s:.1f}"
    return InputError(
        f"{path}: truncated: breaks off or is damaged after {decoded_s:.1f}{of} s; copy it again"
    )
