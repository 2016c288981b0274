"""Check a clip's image and sound, and find stray images and outdated caches.

sd-scripts trains on all images in a folder, also on those that the build did not write, and uses
cached latents even if their image has changed since.
"""

import hashlib
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from dmm.codec.image import CHUNK
from dmm.codec.mel import MelFormat
from dmm.errors import InputError
from dmm.files import parse_json, read_bytes

from ..dataset import Dataset, Row
from ..finding import REBUILD, Finding
from ..layout import SPLITS

IMAGE_SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".bmp", ".avif", ".jxl"))
"""Suffixes, in lower case, that sd-scripts' ``glob_images`` accepts (library/train_util.py)."""


def check_clip_files(dataset: Dataset, row: Row) -> Iterator[Finding]:
    """Find faults of a clip's image and, in the test split, of its sound."""
    channels = 2 if dataset.built["options"].get("stereo") else 1
    place = f"{row['split']}/{row['id']}"
    path = dataset.folder / f"{place}.png"
    if wrong := _image_fault(path, row, dataset.fmt, channels):
        yield Finding("image", f"{place}.png", wrong, REBUILD)
    if row["split"] == "test":
        path = path.with_suffix(".flac")
        if wrong := _sound_fault(path, dataset.fmt, channels):
            yield Finding("sound", f"{place}.flac", wrong, REBUILD)


def _image_fault(path: Path, row: Row, fmt: MelFormat, channels: int) -> str | None:
    """First fault of a PNG's header, recorded format or SHA-256, if any; pixels are not decoded."""
    try:
        content = read_bytes(path)
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            size, mode, text = image.size, image.mode, image.info.get(CHUNK)
    except InputError as error:
        return f"cannot be read ({str(error).removeprefix(f'{path}: ').split('; ')[0]})"
    except UnidentifiedImageError:
        return "no PNG image"
    except Exception:  # Pillow raises a dozen kinds for damaged files
        return "cannot be read (damaged)"
    expected = "RGB" if channels == 2 else "L"
    if size != (fmt.n_frames, fmt.n_mels):
        return f"{size[0]} x {size[1]} pixels; the format has {fmt.n_frames} x {fmt.n_mels}"
    if mode != expected:
        return f"pixels of mode {mode}; the dataset's are {expected}"
    if wrong := _format_fault(text, fmt):
        return wrong
    if hashlib.sha256(content).hexdigest() != row["sha256"]:
        return "changed since it was built: its SHA-256 is not the manifest's"
    return None


def _format_fault(text: str | None, fmt: MelFormat) -> str | None:
    """The fault of an image's recorded mel format, if it has one."""
    if text is None:
        return "does not say its mel format"
    try:
        stated = parse_json(text, "format")
    except InputError:
        return "its mel format is damaged"
    for name, value in fmt.model_dump().items():
        if stated.get(name) != value:
            return f"made with {name} {stated.get(name)!r}; the dataset's format has {value!r}"
    return None


def _sound_fault(path: Path, fmt: MelFormat, channels: int) -> str | None:
    """The fault of a sound file's length, sampling rate or channels, if any; nothing is decoded."""
    import soundfile

    if not path.is_file():
        return "missing: every test clip comes with its sound"
    try:
        info = soundfile.info(path)
    except soundfile.LibsndfileError:
        return "no sound file"
    has = (info.frames, info.samplerate, info.channels)
    needs = (fmt.clip_samples, fmt.sr, channels)
    words = "{} samples at {} Hz in {} channels".format
    return None if has == needs else f"{words(*has)}; the format needs {words(*needs)}"


def check_folders(folder: Path, rows: Iterable[Row]) -> Iterator[Finding]:
    """Find images and caches of no clip, and caches older than their image or caption."""
    ids_of = {split: {row["id"] for row in rows if row["split"] == split} for split in SPLITS}
    for split, ids in ids_of.items():
        for path in sorted((folder / split).glob("*")):
            where = f"{split}/{path.name}"
            if path.name.startswith("."):
                continue
            if path.suffix.lower() in IMAGE_SUFFIXES and not _is_image_of_clip(path, ids):
                what = "an image that is in no manifest: sd-scripts would train on it"
                yield Finding("stray", where, what, "move it out of the dataset")
            if path.suffix == ".npz" and (stale := _stale_cache_reason(path, ids)):
                yield Finding("latents", where, stale, "delete it; training writes it again")


def _is_image_of_clip(path: Path, ids: set[str]) -> bool:
    return path.suffix == ".png" and path.stem in ids


def _stale_cache_reason(path: Path, ids: set[str]) -> str | None:
    """Reason why cached latents or text encoder outputs are outdated; None if they are not."""
    clip = path.stem.split("_")[0]
    if clip not in ids:
        return "cached for a clip that is not in the manifest"
    source = path.with_name(f"{clip}.txt" if "_te_outputs" in path.name else f"{clip}.png")
    if source.is_file() and path.stat().st_mtime < source.stat().st_mtime:
        return f"cached before {source.name} was last written, so it may not match"
    return None
