"""Check ``dataset.toml`` for settings that sd-scripts accepts silently but that spoil the training.

Values of ``[general]`` apply to all datasets, those of a dataset to all its subsets; inner values
take precedence. sd-scripts removes the separator from a caption only while it shuffles, drops or
warms up its parts (``process_caption`` in library/train_util.py); otherwise ``|||`` is tokenised.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dmm.errors import InputError
from dmm.files import read_toml

from ..captions.clean import SEPARATOR, caption_prefix
from ..dataset import Dataset
from ..finding import REBUILD, Finding
from ..regularisation import too_few_reg

FILE = "dataset.toml"
REMEDY = f"{REBUILD}, or mend the line"
FORBIDDEN = {
    "flip_aug": "time would run backwards",
    "color_aug": "levels would no longer be loudness",
    "random_crop": "clips would lose frequencies",
    "face_crop_aug_range": "clips would lose frequencies",
    "enable_bucket": "images would be resized",
    "enable_wildcard": "braces in captions would be replaced at random",
    "secondary_separator": "captions would be changed",
}
"""Setting that must be off, and what it would do to mel images or captions."""


def check_config(dataset: Dataset) -> Iterator[Finding]:
    """Find settings of ``dataset.toml`` that sd-scripts refuses or that spoil the training."""
    if not (dataset.folder / FILE).exists():
        yield Finding("config", FILE, "missing", REMEDY)
        return
    try:
        subsets = _inherited_subsets(read_toml(dataset.folder / FILE))
    except InputError as error:
        reason = str(error).removeprefix(f"{dataset.folder / FILE}: ")
        yield Finding("config", FILE, reason.split("; ")[0], REMEDY)
    except (TypeError, AttributeError, ValueError):
        yield Finding("config", FILE, "not laid out as sd-scripts wants it", REMEDY)
    else:
        for what in [*_folder_faults(dataset, subsets), *_value_faults(dataset, subsets)]:
            yield Finding("config", FILE, what, REMEDY)


def _inherited_subsets(config: dict[str, Any]) -> list[dict[str, Any]]:
    """All subsets, each with the values that it inherits."""
    return [
        config.get("general", {})
        | {name: value for name, value in group.items() if name != "subsets"}
        | dict(subset)
        for group in config.get("datasets", [])
        for subset in group.get("subsets", [])
    ]


def _folder_faults(dataset: Dataset, subsets: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the faults of the folders that ``dataset.toml`` trains on."""
    folder, named = dataset.folder, [str(subset.get("image_dir", "")) for subset in subsets]
    n_train, n_reg = (len(list((folder / name).glob("*.png"))) for name in ("train", "reg"))
    has_reg = n_reg > 0
    for name in named:
        if Path(name).is_absolute():
            yield f"image_dir {name!r} is absolute: the dataset could not be moved"
        elif name in ("val", "test"):
            yield f"trains on {name!r}, which is for scoring"
        elif name not in ("train", "reg") or not (folder / name).is_dir():
            yield f"image_dir {name!r} is no folder of the dataset to train on"
    if "train" not in named:
        yield "no subset for train/"
    repeats = dataset.built["options"].get("reg_repeats") or 1
    if has_reg and "reg" not in named and not too_few_reg(n_train, n_reg, repeats):
        yield "no subset for reg/, which has images"
    if not has_reg and "reg" in named and (folder / "reg").is_dir():
        yield "a subset for reg/, which has no images"


def _value_faults(dataset: Dataset, subsets: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the options of ``dataset.toml`` that do not fit the dataset."""
    fmt = dataset.fmt
    for subset in subsets:
        name = str(subset.get("image_dir", ""))
        if bool(subset.get("is_reg")) != (name == "reg"):
            yield f"is_reg of {name!r} should be {str(name == 'reg').lower()}"
        if subset.get("resolution") != [fmt.n_frames, fmt.n_mels]:
            size = [fmt.n_frames, fmt.n_mels]
            yield f"resolution {subset.get('resolution')} of {name!r}; the images have {size}"
        if subset.get("caption_extension") != ".txt":
            yield f"caption_extension of {name!r} should be '.txt'"
        for option, why in FORBIDDEN.items():
            if subset.get(option):
                yield f"{option} of {name!r}: {why}"
        if wrong := _prefix_fault(subset, dataset.anchor_for_split(name)):
            yield f"{wrong} (subset {name!r})"


def _prefix_fault(subset: dict[str, Any], anchor: str) -> str | None:
    """The fault of a subset's caption prefix, separators and shuffling, if it has one."""
    prefix, separator = subset.get("caption_prefix"), subset.get("keep_tokens_separator")
    parts_move = any(
        subset.get(option)
        for option in ("shuffle_caption", "token_warmup_step", "caption_tag_dropout_rate")
    )
    if subset.get("caption_separator", ",") != ",":
        return "caption_separator should be ','"
    if prefix and SEPARATOR in prefix and not parts_move:
        return f"{SEPARATOR!r} without shuffle_caption would be read as words"
    if prefix and SEPARATOR in prefix and separator != SEPARATOR:
        return f"keep_tokens_separator should be {SEPARATOR!r}, as in caption_prefix"
    expected = caption_prefix(anchor) if parts_move else (f"{anchor}," if anchor else None)
    if (prefix or None) != expected:
        return f"caption_prefix {prefix!r}; the anchor asks for {expected!r}"
    return None
