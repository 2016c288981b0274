"""Convert audio files to mel image files and back: ``encode()`` and ``decode()`` of the library."""

from pathlib import Path
from typing import Literal

from ..choices import DEFAULT_FORMAT, Quality
from ..errors import InputError
from ..sound.audio import read_audio, write_audio
from . import decode as inversion
from . import mel
from .image import read_image, write_image


def encode(
    audio: str | Path,
    out: str | Path,
    *,
    format: str = DEFAULT_FORMAT,  # noqa: A002 - as the option is called
    stereo: bool = False,
    pad: bool = True,
) -> list[Path]:
    """Cut an audio file into clips and write a mel image of each: NAME-000.png, NAME-001.png ...

    Returns the images' paths in the folder ``out``. ``stereo`` keeps left and right in an RGB
    image; ``pad`` extends the last clip with silence, otherwise it is dropped. InputError for a
    file that cannot be read, is silent, or without ``pad`` shorter than a clip.
    """
    path, fmt = Path(audio), mel.load_format(format)
    samples = read_audio(path, fmt.sr, 2 if stereo else 1)
    if not samples.any():
        raise InputError(f"{path}: silent throughout; leave it out")
    if samples.shape[1] < fmt.clip_samples and not pad:
        length_s, needed_s = samples.shape[1] / fmt.sr, fmt.clip_duration_s
        raise InputError(
            f"{path}: {length_s:.2f} s; format {fmt.name!r} needs {needed_s:.2f} s or more"
            " (--pad to extend)"
        )
    written = []
    for index, clip in enumerate(mel.cut_clips(samples, fmt, pad)):
        written.append(Path(out) / f"{path.stem}-{index:03}.png")
        write_image(written[-1], mel.encode(clip, fmt), fmt)
    return written


def decode(
    image: str | Path,
    out: str | Path,
    *,
    quality: Quality = "default",
    format: str | None = None,  # noqa: A002 - as the option is called
    type: Literal["wav", "flac"] = "wav",  # noqa: A002 - as the option is called
) -> Path:
    """Turn a mel image of any width into an audio file in the folder ``out``; returns its path.

    Riffusion's images are read too. ``format`` overrides the format that the image states.
    InputError for an image that cannot be read or has no known format.
    """
    path = Path(image)
    levels, fmt = read_image(path, mel.load_format(format) if format else None)
    target = Path(out) / f"{path.stem}.{type}"
    write_audio(target, inversion.decode(levels, fmt, quality), fmt.sr)
    return target
