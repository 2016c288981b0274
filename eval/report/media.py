"""Audio and mel image of a clip as compressed data URIs, so that a page of many can be mailed."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image

from dmm.codec.decode import decode
from dmm.codec.image import read_image
from dmm.codec.mel import encode, load_format
from dmm.errors import InputError
from dmm.pages import COLOUR_MAP, data_uri
from dmm.sound.audio import read_audio

PLAYED_S = 12.0
"""Longest excerpt that the page plays."""
PLAYED_SR = 44100
QUALITY = 0.2
"""libsndfile's compression level for MP3, 0 is best: about 190 kbit/s for stereo music."""
PICTURE_SIZE, PICTURE_QUALITY = (384, 192), 70


@dataclass(frozen=True)
class Media:
    """Data URIs of a clip's audio (MP3) and mel image (WebP)."""

    audio: str
    picture: str

    @property
    def size_bytes(self) -> int:
        """Bytes that both take in the page."""
        return len(self.audio) + len(self.picture)


def clip_media(path: Path) -> Media:
    """Audio and mel image of an audio file, or of a mel image, which is decoded."""
    sound, sr = _read_excerpt(path)
    return Media(
        data_uri("audio/mpeg", _mp3_bytes(sound, sr)),
        data_uri("image/webp", _webp_bytes(mel_image(path))),
    )


def mel_image(path: Path) -> Image.Image:
    """Mel image (levels 0..255) of a clip: ID.png beside the audio, else computed from it.

    ID.png may be missing, or another picture, such as a cover.
    """
    try:
        levels, _ = read_image(path.with_suffix(".png"))
    except InputError:
        return _computed_mel_image(path)
    return Image.fromarray(levels if levels.ndim == 2 else levels[..., 0])


def _computed_mel_image(path: Path) -> Image.Image:
    fmt = load_format("nano")
    sound = read_audio(path, fmt.sr, 1)[:, : int(PLAYED_S * fmt.sr)]
    short = -sound.shape[1] % fmt.hop_length
    return Image.fromarray(np.ascontiguousarray(encode(np.pad(sound, ((0, 0), (0, short))), fmt)))


def _read_excerpt(path: Path) -> tuple[Float[np.ndarray, "channels samples"], int]:
    if path.suffix.lower() == ".png":
        levels, fmt = read_image(path)
        sound, sr = decode(levels, fmt), fmt.sr
    else:
        sound, sr = read_audio(path, PLAYED_SR, 2), PLAYED_SR
    return sound[:, : int(PLAYED_S * sr)], sr


def _mp3_bytes(sound: Float[np.ndarray, "channels samples"], sr: int) -> bytes:
    """Encode both channels, or one if they are equal."""
    import soundfile

    if np.array_equal(sound[0], sound[-1]):
        sound = sound[:1]
    buffer = io.BytesIO()
    soundfile.write(
        buffer,
        sound.clip(-1, 1).T,
        sr,
        format="MP3",
        subtype="MPEG_LAYER_III",
        compression_level=QUALITY,
        bitrate_mode="VARIABLE",
    )
    return buffer.getvalue()


def _webp_bytes(levels: Image.Image) -> bytes:
    """Scale to the page's size and colour; a sixth of the size of a PNG."""
    small = np.asarray(levels.resize(PICTURE_SIZE, Image.Resampling.BOX))
    stops, colours = np.linspace(0, 255, len(COLOUR_MAP)), np.array(COLOUR_MAP)
    mixed = [np.interp(small, stops, colours[:, channel]) for channel in range(3)]
    buffer = io.BytesIO()
    Image.fromarray(np.rint(np.stack(mixed, axis=2)).astype(np.uint8)).save(
        buffer, "WEBP", quality=PICTURE_QUALITY, method=6
    )
    return buffer.getvalue()
