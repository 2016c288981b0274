"""A clip's sound and picture as data URIs, small enough that a page of them can be mailed."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import UInt8
from PIL import Image

from dmm.audio import read_audio
from dmm.mel import encode, load_format

KEPT_BYTES = 1_000_000
"""A FLAC file up to this size goes into the page as it is."""
PLAYED_S = 12.0
"""Of longer sound only so much is played."""
PLAYED_SR = 44100
PICTURE_SIZE = (384, 192)
INK = ((8, 7, 22), (54, 16, 92), (140, 34, 106), (222, 76, 74), (252, 163, 88), (252, 250, 214))
"""Colours of rising level, evenly spaced: night, violet, plum, coral, amber, cream."""


@dataclass(frozen=True)
class Media:
    """What a player shows and plays."""

    audio: str
    picture: str

    @property
    def size(self) -> int:
        """Bytes in the page."""
        return len(self.audio) + len(self.picture)


def media(audio: Path) -> Media:
    """Sound and mel picture of a clip; the picture is ID.png beside it, else drawn here."""
    return Media(
        _data_uri("audio/flac", _flac(audio)), _data_uri("image/png", _png(_mel_picture(audio)))
    )


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _flac(path: Path) -> bytes:
    if path.suffix.lower() == ".flac" and path.stat().st_size <= KEPT_BYTES:
        return path.read_bytes()
    sound = read_audio(path, PLAYED_SR, 2)[:, : int(PLAYED_S * PLAYED_SR)]
    buffer = io.BytesIO()
    soundfile.write(buffer, sound.T.clip(-1, 1), PLAYED_SR, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def _mel_picture(audio: Path) -> Image.Image:
    """Levels 0..255, low frequency at the bottom: the mid channel where there are two."""
    beside = audio.with_suffix(".png")
    if beside.is_file():
        with Image.open(beside) as image:
            return image.getchannel(0)
    fmt = load_format("nano")
    sound = read_audio(audio, fmt.sr, 1)[:, : int(PLAYED_S * fmt.sr)]
    short = -sound.shape[1] % fmt.hop_length
    return Image.fromarray(np.ascontiguousarray(encode(np.pad(sound, ((0, 0), (0, short))), fmt)))


def _png(levels: Image.Image) -> bytes:
    """The levels at the page's size, in colour: a palette costs a third of what RGB would."""
    image = levels.resize(PICTURE_SIZE, Image.Resampling.BOX)
    image.putpalette(_palette().tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _palette() -> UInt8[np.ndarray, "256 3"]:
    stops, colours = np.linspace(0, 255, len(INK)), np.array(INK)
    mixed = [np.interp(np.arange(256), stops, colours[:, c]) for c in range(3)]
    return np.rint(np.stack(mixed, axis=1)).astype(np.uint8)
