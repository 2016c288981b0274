"""What the checks need to know of a DATASET, a base model and this machine, gathered once.

Headers and tables are read, no image and no tensor: a second for ten thousand clips.
"""

import json
import struct
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import InputError

PACKAGES = ("bitsandbytes", "xformers", "wandb", "lion_pytorch", "prodigyopt", "dadaptation",
            "schedulefree", "deepspeed")  # fmt: skip
"""What the engine imports only when a setting asks for it."""


@dataclass(frozen=True)
class BaseFacts:
    """The checkpoint that is trained on."""

    prediction_type: str = "epsilon"
    """``epsilon`` or ``v_prediction``, by the file's metadata."""
    format: str | None = None
    """The mel format it was made for, if it says one."""
    width: int | None = None
    """Channels of the UNet's first level, its narrowest layer."""


@dataclass(frozen=True)
class DatasetFacts:
    """The DATASET as it lies there, before the launcher's settings change its configuration."""

    n_train: int
    n_reg: int = 0
    n_val: int = 0
    repeats: int = 1
    reg_repeats: int = 1
    format: str | None = None
    resolution: tuple[int, int] | None = None
    """Width and height in pixels that sd-scripts makes of every image."""
    sizes: frozenset[tuple[int, int]] = frozenset()
    """Widths and heights of the images."""
    tokens: tuple[int, ...] = ()
    """CLIP's count for each clip's caption with its anchor, start and end included."""
    stated: Mapping[str, Any] = field(default_factory=dict)
    """What ``dataset.toml`` says anywhere, by the engine's option names; it wins over a preset."""


@dataclass(frozen=True)
class Facts:
    """All that rules may ask for; what is not known is None and silences the rules that need it."""

    architecture: str
    """``sdxl`` or ``sd15``."""
    dataset: DatasetFacts | None = None
    base: BaseFacts | None = None
    packages: frozenset[str] | None = None
    """Those of ``PACKAGES`` that are installed."""


OPTION_NAMES = {"batch_size": "train_batch_size", "num_repeats": "dataset_repeats"}
"""Where ``dataset.toml`` and the engine's parser name one thing differently."""
FOLDERS = ("image_dir", "is_reg", "class_tokens", "subsets")


def read_dataset_facts(dataset: Path) -> DatasetFacts:
    """A DATASET folder's facts; InputError in one line for what is missing or damaged."""
    built = _read(dataset / "dataset.json", json.loads)
    config = _read(dataset / "dataset.toml", tomllib.loads)
    try:
        subsets = [subset for entry in config["datasets"] for subset in entry["subsets"]]
        train, reg = ([s for s in subsets if bool(s.get("is_reg")) is r] for r in (False, True))
        images = {kind: _images(dataset, s) for kind, s in (("train", train), ("reg", reg))}
        return DatasetFacts(
            n_train=len(images["train"]),
            n_reg=len(images["reg"]),
            n_val=len(list((dataset / "val").glob("*.png"))),
            repeats=train[0].get("num_repeats", 1) if train else 1,
            reg_repeats=reg[0].get("num_repeats", 1) if reg else 1,
            format=built.get("format", {}).get("name"),
            resolution=_resolution(config),
            sizes=frozenset(png_size(path) for paths in images.values() for path in paths),
            tokens=_tokens(dataset / "manifest.parquet"),
            stated=_stated(config),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{dataset}: dataset.toml or dataset.json is not as dmm data build writes it ({error})"
        ) from error


def gather(dataset: Path, base: Path) -> Facts:
    """All facts of a run on this machine; InputError or ModelError, in one line, for bad input."""
    from ..checkpoints.architecture import prediction_type, read_architecture
    from ..checkpoints.header import read_metadata

    shapes = read_architecture(base)
    return Facts(
        architecture=shapes.kind,
        dataset=read_dataset_facts(dataset),
        base=BaseFacts(
            prediction_type=prediction_type(base),
            format=read_metadata(base).get("dmm_format"),
            width=shapes.model_channels,
        ),
        packages=frozenset(name for name in PACKAGES if find_spec(name)),
    )


def png_size(path: Path) -> tuple[int, int]:
    """Width and height of a PNG from its first 24 bytes; InputError if it is none."""
    with path.open("rb") as file:
        head = file.read(24)
    if len(head) < 24 or head[:8] != b"\x89PNG\r\n\x1a\n":
        raise InputError(f"{path}: not a PNG; build the dataset again")
    width, height = struct.unpack(">II", head[16:])
    return width, height


def _read(path: Path, parse: Any) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"{path.parent}: not a dataset (no {path.name}); make one: dmm data build")
    try:
        return parse(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: damaged ({error}); build the dataset again") from error


def _images(dataset: Path, subsets: list[dict[str, Any]]) -> list[Path]:
    return [path for subset in subsets for path in (dataset / subset["image_dir"]).glob("*.png")]


def _resolution(config: Mapping[str, Any]) -> tuple[int, int] | None:
    found = config["datasets"][0].get("resolution", config.get("general", {}).get("resolution"))
    if found is None:
        return None
    return (found, found) if isinstance(found, int) else (found[0], found[1])


def _stated(config: Mapping[str, Any]) -> dict[str, Any]:
    """Later tables win: that of a subset over its dataset's over the general one."""
    found: dict[str, Any] = dict(config.get("general", {}))
    for entry in config["datasets"]:
        for table in (entry, *entry["subsets"]):
            found |= {key: value for key, value in table.items() if key not in FOLDERS}
    return {OPTION_NAMES.get(key, key): value for key, value in found.items()}


def _tokens(manifest: Path) -> tuple[int, ...]:
    """Of the clips that are trained on; none if there is no table."""
    if not manifest.is_file():
        return ()
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(manifest) as file:  # read_table would import pandas: seconds
            table = file.read(columns=["split", "tokens"])
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{manifest}: damaged; build the dataset again") from error
    pairs = zip(table["split"].to_pylist(), table["tokens"].to_pylist(), strict=True)
    return tuple(count for split, count in pairs if split in ("train", "reg") and count)
