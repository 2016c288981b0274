"""Read and write mel images as PNG files that carry their mel format.

The format is JSON in an iTXt chunk ``dmm`` (PNG specification, third edition, 11.3.3.4).
Riffusion's images are read too: their parameters are in EXIF tags with numbers of their own
(riffusion/riffusion-hobby, ``riffusion/spectrogram_params.py``).
"""

from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
from jaxtyping import UInt8
from PIL import Image, PngImagePlugin
from pydantic import ValidationError

from ..errors import DmmError, InputError
from ..files import check_regular, open_bytes, parse_json, validation_error_line, whole_file
from .mel import MAX_ROWS, MelFormat, parse_format

COMPRESS_LEVEL = 4
"""zlib level: as small as level 6 on mel images, in half the time."""
CHUNK = "dmm"
VERSIONS = (1,)
"""Format versions that this program decodes."""
MODES = ("L", "RGB", "RGBA", "LA", "P")
"""Pillow's pixel modes that are read: 8 bits of grey, RGB or a palette."""
MAX_PIXELS = 1 << 27
"""Most pixels of an image: 40 minutes at 512 rows, and 400 MB as RGB."""
TOO_LARGE = f"at most {MAX_ROWS} rows and {MAX_PIXELS} pixels are read; name a mel image"
NAME_RIFFUSION = "name the format, for example --format sdxl-512, or --format riffusion"
SAMPLE_RATE, STEREO, STEP_MS, WINDOW_MS, PADDED_MS = 11000, 11005, 11010, 11020, 11030
ROWS, FMIN, FMAX, POWER, MAX_VALUE = 11040, 11050, 11060, 11070, 11080
INT16_SCALE, USUAL_MAX = 32768, 30e6
"""Riffusion uses 16-bit samples, and 30e6 for the loudest cell unless the file states another."""


def write_image(
    path: Path,
    image: UInt8[np.ndarray, "rows frames"] | UInt8[np.ndarray, "rows frames 3"],
    fmt: MelFormat,
) -> None:
    """Write an 8-bit grey or RGB PNG that carries ``fmt``, completely or not at all.

    ValueError if the image has another number of rows than ``fmt``.
    """
    if image.shape[0] != fmt.n_mels:
        raise ValueError(f"{image.shape[0]} rows; format {fmt.name!r} has {fmt.n_mels}")
    text = PngImagePlugin.PngInfo()
    text.add_itxt(CHUNK, fmt.model_dump_json())
    with whole_file(path) as partial:
        pixels = Image.fromarray(np.ascontiguousarray(image))
        pixels.save(partial, format="PNG", pnginfo=text, compress_level=COMPRESS_LEVEL)


def read_image(
    path: Path, fmt: MelFormat | None = None
) -> tuple[UInt8[np.ndarray, "rows frames"] | UInt8[np.ndarray, "rows frames 3"], MelFormat]:
    """Read levels and format of a mel image; ``fmt`` overrides the file's own format.

    RGB with three equal channels is returned as grey. InputError, in one line, for a file that is
    no image, has no known format, or has another number of rows than its format.
    """
    levels, text, exif = _read_pixels_and_tags(path)
    fmt = fmt or _stated_format(path, text, exif)
    if len(levels) != fmt.n_mels:
        remedy = "use the image in its original size, or name its format with --format"
        raise InputError(
            f"{path}: {len(levels)} rows, but format {fmt.name!r} has {fmt.n_mels}; {remedy}"
        )
    if levels.ndim == 3 and (levels == levels[..., :1]).all():
        levels = levels[..., 0]
    return levels, fmt


def _read_pixels_and_tags(path: Path) -> tuple[np.ndarray, dict[str, Any], dict[int, Any]]:
    """Levels, PNG text and EXIF tags of an image file; its size is checked before its pixels."""
    if check_regular(path).st_size == 0:
        raise InputError(f"{path}: empty (0 bytes); make or copy it again")
    try:
        with catch_warnings(), open_bytes(path) as file:
            simplefilter("ignore", Image.DecompressionBombWarning)  # the bound is ours
            with Image.open(file, formats=("PNG", "JPEG")) as image:
                _check_size_and_mode(path, image)
                image.load()
                exif = dict(image.getexif())
                text = {str(name): value for name, value in image.info.items()}
                grey = image.mode in ("L", "LA")
                return np.asarray(image.convert("L" if grey else "RGB")), text, exif
    except DmmError:
        raise
    except Image.DecompressionBombError as error:
        raise InputError(f"{path}: {TOO_LARGE}") from error
    except Exception as error:  # Pillow raises a dozen kinds for damaged files
        reason = "no PNG" if isinstance(error, Image.UnidentifiedImageError) else "damaged"
        raise InputError(f"{path}: {reason} image; make or copy it again") from error


def _check_size_and_mode(path: Path, image: Image.Image) -> None:
    """InputError for an image that no mel format can have, known by its header."""
    width, height = image.size
    if height > MAX_ROWS or width * height > MAX_PIXELS:
        raise InputError(f"{path}: {width} x {height} pixels; {TOO_LARGE}")
    if image.mode not in MODES:
        raise InputError(f"{path}: pixels of mode {image.mode}; save it as 8-bit grey or RGB")


def _stated_format(path: Path, text: dict[str, Any], exif: dict[int, Any]) -> MelFormat:
    """The mel format that an image states, ours or Riffusion's; InputError without one."""
    if CHUNK in text:
        return _parse_own_format(path, text[CHUNK])
    if SAMPLE_RATE not in exif:
        raise InputError(f"{path}: does not say its mel format; {NAME_RIFFUSION}")
    try:
        return riffusion_format(exif)
    except ValidationError as error:
        raise _damaged_format_error(path, validation_error_line(error)) from error
    except (ValueError, TypeError, KeyError, ArithmeticError) as error:
        raise _damaged_format_error(path, f"Riffusion's tags: {error}") from error


def _parse_own_format(path: Path, text: object) -> MelFormat:
    try:
        fields = parse_json(str(text), CHUNK)
        version = fields.get("version")
        if isinstance(version, int) and version not in VERSIONS:
            known = ", ".join(map(str, VERSIONS))
            raise InputError(
                f"{path}: mel format version {version}; this program knows {known}; use a newer one"
            )
        return parse_format(fields, CHUNK)
    except InputError as error:
        if str(error).startswith(f"{CHUNK}: "):
            raise _damaged_format_error(path, str(error).removeprefix(f"{CHUNK}: ")) from error
        raise


def _damaged_format_error(path: Path, reason: str) -> InputError:
    return InputError(f"{path}: its mel format is damaged: {reason}; {NAME_RIFFUSION}")


def riffusion_format(exif: dict[int, Any]) -> MelFormat:
    """Mel format from Riffusion's EXIF tags; KeyError or ValueError if they are incomplete.

    Riffusion sums |STFT| of 16-bit samples under triangles of height 1, on an FFT grid of 1 /
    padded length, with a plain Hann window. Division by the peak of a full-scale sine (a quarter of
    the window) and the grid in Hz gives rows of norm ``width``. Its frames are centred half a hop
    earlier than ours. An FFT twice as long as the window gives the same quality as its fourfold
    one.
    """
    sr = int(exif[SAMPLE_RATE])
    win_length = int(exif[WINDOW_MS] / 1000 * sr)
    bin_hz = 1000 / exif[PADDED_MS]
    loudest = float(exif.get(MAX_VALUE, USUAL_MAX))
    return MelFormat(
        name="riffusion",
        sr=sr,
        hop_length=int(exif[STEP_MS] / 1000 * sr),
        win_length=win_length,
        n_fft=_fast_fft_length(2 * win_length),
        n_mels=int(exif[ROWS]),
        n_frames=512,
        fmin=float(exif[FMIN]),
        fmax=float(exif[FMAX]),
        mel_norm="width",
        level_scale="power",
        exponent=float(exif[POWER]),
        ref=loudest * bin_hz / (INT16_SCALE * win_length / 4),
        stereo="left-right",
    )


def _fast_fft_length(at_least: int) -> int:
    """The smallest FFT length 2^a 3^b that is at least this long."""
    return min(n for a in range(24) for b in range(8) if (n := 2**a * 3**b) >= at_least)
