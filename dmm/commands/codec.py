"""``dmm encode`` and ``dmm decode``."""

import sys
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ..errors import DmmError, InputError


class SoundType(StrEnum):
    """What ``dmm decode`` writes."""

    wav = "wav"
    flac = "flac"


class QualityName(StrEnum):
    """Speed against likeness: 8, 32 or 128 rounds of phase retrieval."""

    fast = "fast"
    default = "default"
    best = "best"


def encode(
    audio: Annotated[list[Path], typer.Argument(help="Sound files.")],
    out: Annotated[Path, typer.Option(help="Folder for the images.")],
    format: Annotated[  # noqa: A002 - the option's name
        str, typer.Option(help="Mel format; presets/formats lists them.")
    ] = "sdxl-512",
    stereo: Annotated[bool, typer.Option("--stereo", help="Keep left and right, in RGB.")] = False,
    pad: Annotated[bool, typer.Option(help="Fill the last clip up with silence.")] = True,
) -> None:
    """Cut sound files into clips and write a mel image of each: NAME-000.png, NAME-001.png ...

    Example: dmm encode song.mp3 --out images --format sdxl-512
    """
    from ..codec.image import write_image
    from ..codec.mel import clips, load_format
    from ..codec.mel import encode as encode_clip
    from ..sound.audio import read_audio

    fmt = load_format(format)

    def convert(path: Path) -> Iterator[Path]:
        sound = read_audio(path, fmt.sr, 2 if stereo else 1)
        if not sound.any():
            raise InputError(f"{path}: silent throughout; leave it out")
        if sound.shape[1] < fmt.clip_samples and not pad:
            length_s, needed_s = sound.shape[1] / fmt.sr, fmt.clip_duration_s
            raise InputError(
                f"{path}: {length_s:.2f} s; format {fmt.name!r} needs {needed_s:.2f} s or more"
                " (--pad to extend)"
            )
        for index, clip in enumerate(clips(sound, fmt, pad)):
            target = out / f"{path.stem}-{index:03}.png"
            write_image(target, encode_clip(clip, fmt), fmt)
            yield target

    _convert_all("encode", audio, convert)


def decode(
    images: Annotated[list[Path], typer.Argument(help="Mel images, ours or Riffusion's.")],
    out: Annotated[Path, typer.Option(help="Folder for the sounds.")],
    quality: Annotated[QualityName, typer.Option(help="fast, default or best.")] = (
        QualityName.default
    ),
    format: Annotated[  # noqa: A002 - the option's name
        str | None, typer.Option(help="Mel format, for images that do not say theirs.")
    ] = None,
    type: Annotated[  # noqa: A002 - the option's name
        SoundType, typer.Option(help="wav or flac.")
    ] = SoundType.wav,
) -> None:
    """Turn mel images of any width back into sound, one file each.

    Example: dmm decode images/song-000.png --out sounds --quality best
    """
    from ..codec.decode import decode as decode_image
    from ..codec.image import read_image
    from ..codec.mel import load_format
    from ..sound.audio import write_audio

    named = load_format(format) if format else None

    def convert(path: Path) -> Iterator[Path]:
        image, fmt = read_image(path, named)
        target = out / f"{path.stem}.{type.value}"
        write_audio(target, decode_image(image, fmt, quality.value), fmt.sr)
        yield target

    _convert_all("decode", images, convert)


def _convert_all(name: str, paths: list[Path], convert: Callable[[Path], Iterator[Path]]) -> None:
    """Convert file by file; a bad one is told on standard error and makes the exit code 1."""
    from ..progress import progress_bar

    written: list[Path] = []
    complaints: list[str] = []
    sources: dict[str, Path] = {}
    with progress_bar(name, len(paths)) as advance:
        for path in paths:
            try:
                _refuse_same_name(path, sources)
                written.extend(convert(path))
            except DmmError as error:
                complaints.append(f"error: {error}")
            advance(note=path.name)
    # After the bar: while it runs on a terminal, it draws standard output along on its own stream.
    for path in written:
        print(path)
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    if complaints:
        raise typer.Exit(1)


def _refuse_same_name(path: Path, sources: dict[str, Path]) -> None:
    """Two inputs called alike would write the same files."""
    earlier = sources.setdefault(path.stem, path)
    if earlier != path:
        raise InputError(f"{path}: has the same name as {earlier}; convert it into another --out")
