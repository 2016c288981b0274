"""A clip's sound and picture as data URIs, small enough that a page of them can be mailed."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from dmm.audio import audio_bytes, read_audio
from dmm.mel import encode, load_format
from dmm.pages import coloured_png, data_uri

KEPT_BYTES = 1_000_000
"""A FLAC file up to this size goes into the page as it is."""
PLAYED_S = 12.0
"""Of longer sound only so much is played."""
PLAYED_SR = 44100
PICTURE_SIZE = (384, 192)


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
        data_uri("audio/flac", _flac(audio)), data_uri("image/png", _png(_mel_picture(audio)))
    )


def _flac(path: Path) -> bytes:
    if path.suffix.lower() == ".flac" and path.stat().st_size <= KEPT_BYTES:
        return path.read_bytes()
    sound = read_audio(path, PLAYED_SR, 2)[:, : int(PLAYED_S * PLAYED_SR)]
    return audio_bytes(sound, PLAYED_SR)


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
    """The levels at the page's size, in colour."""
    return coloured_png(levels.resize(PICTURE_SIZE, Image.Resampling.BOX))
