"""The commands ``dmm encode`` and ``dmm decode``."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from ..choices import DEFAULT_FORMAT
from ..errors import DmmError, InputError
from .options import QualityOption


def encode(
    audio: Annotated[list[Path], typer.Argument(help="Audio files.")],
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder for the images.")],
    format: Annotated[  # noqa: A002 - the option's name
        str, typer.Option(help="Mel format; presets/formats holds them.")
    ] = DEFAULT_FORMAT,
    stereo: Annotated[
        bool, typer.Option("--stereo", help="Keep left and right, in RGB images.")
    ] = False,
    pad: Annotated[bool, typer.Option(help="Extend the last clip with silence.")] = True,
) -> None:
    """Cut audio files into clips and write a mel image of each: NAME-000.png, NAME-001.png ...

    Example: dmm encode song.mp3 --out images --format sdxl-512
    """
    from ..codec.convert import encode as encode_file
    from ..codec.mel import load_format

    load_format(format)  # an unknown format is one error, not one for each file
    convert = partial(encode_file, out=out, format=format, stereo=stereo, pad=pad)
    _convert_all("encode", audio, convert)


def decode(
    images: Annotated[list[Path], typer.Argument(help="Mel images, ours or Riffusion's.")],
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder for the audio files.")],
    quality: QualityOption = "default",
    format: Annotated[  # noqa: A002 - the option's name
        str | None,
        typer.Option(help="Mel format of the images.", show_default="as the images state"),
    ] = None,
    type: Annotated[  # noqa: A002 - the option's name
        Literal["wav", "flac"], typer.Option(help="File type to write.")
    ] = "wav",
) -> None:
    """Turn mel images of any width into audio files, one each.

    Example: dmm decode images/song-000.png --out sounds --quality best
    """
    from ..codec.convert import decode as decode_file
    from ..codec.mel import load_format

    if format:
        load_format(format)  # an unknown format is one error, not one for each file
    convert = partial(decode_file, out=out, quality=quality, format=format, type=type)
    _convert_all("decode", images, lambda path: [convert(path)])


def _convert_all(name: str, paths: list[Path], convert: Callable[[Path], list[Path]]) -> None:
    """Convert each file with a progress bar ``name``; print paths written, then the failures.

    A failure goes to standard error and does not stop the others; the exit code is then 1.
    """
    from ..progress import progress_bar

    written: list[Path] = []
    failures: list[str] = []
    sources: dict[str, Path] = {}
    with progress_bar(name, len(paths)) as advance:
        for path in paths:
            try:
                _refuse_same_stem(path, sources)
                written.extend(convert(path))
            except DmmError as error:
                failures.append(f"error: {error}")
            advance(note=path.name)
    # Printed after the bar, which on a terminal would redirect standard output to its own stream.
    for path in written:
        print(path)
    for failure in failures:
        print(failure, file=sys.stderr)
    if failures:
        raise typer.Exit(1)


def _refuse_same_stem(path: Path, sources: dict[str, Path]) -> None:
    """InputError if another input has the same name without suffix: both give the same files.

    Adds the path to ``sources``. The same path twice is converted twice, into the same files.
    """
    earlier = sources.setdefault(path.stem, path)
    if earlier != path:
        raise InputError(f"{path}: has the same name as {earlier}; convert it into another --out")
