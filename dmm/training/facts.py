"""Facts about a DATASET, a base model and this machine, which the checks need; gathered once.

Only headers and tables are read, no pixels and no tensors: a second for ten thousand clips, and
torch is imported to see whether there is a GPU.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import open_bytes, read_json, read_table, read_toml

OPTIONAL_PACKAGES = (
    "bitsandbytes", "xformers", "wandb", "lion_pytorch", "prodigyopt", "dadaptation",
    "schedulefree", "deepspeed",
)  # fmt: skip
"""Packages that the engine imports only for certain settings."""


@dataclass(frozen=True)
class BaseFacts:
    """Facts about the checkpoint that is trained on."""

    prediction_type: str = "epsilon"
    """``epsilon`` or ``v_prediction``, by the file's metadata."""
    format: str | None = None
    """The mel format that it was made for, if its metadata states one."""
    width: int | None = None
    """Channels of the UNet's first level, its narrowest layer."""
    weight_bytes: int | None = None
    """Bytes of a number in the file: 2 for half precision."""
    latents: str | None = None
    """Identity of the VAE's latents, if its metadata state one."""


@dataclass(frozen=True)
class DatasetFacts:
    """Facts about the DATASET, before the launcher's settings change its configuration."""

    n_train: int
    n_reg: int = 0
    n_val: int = 0
    repeats: int = 1
    reg_repeats: int = 1
    format: str | None = None
    resolution: tuple[int, int] | None = None
    """Width and height in pixels to which sd-scripts resizes images."""
    sizes: frozenset[tuple[int, int]] = frozenset()
    """Widths and heights of the images."""
    tokens: tuple[int, ...] = ()
    """CLIP tokens per caption with its anchor, start and end included."""
    stated: Mapping[str, Any] = field(default_factory=dict)
    """Options stated in ``dataset.toml``, by the engine's names; they override presets."""


@dataclass(frozen=True)
class Facts:
    """All facts for the rules; an unknown one is None and silences the rules that need it."""

    architecture: str
    """``sdxl`` or ``sd15``."""
    dataset: DatasetFacts | None = None
    base: BaseFacts | None = None
    packages: frozenset[str] | None = None
    """The installed ones of ``OPTIONAL_PACKAGES``."""
    device: str | None = None
    """The device that a training here would use: ``cuda``, ``mps`` or ``cpu``."""


OPTION_NAMES = {"batch_size": "train_batch_size", "num_repeats": "dataset_repeats"}
"""Key in ``dataset.toml`` to the engine's option, where the names differ."""
NOT_OPTIONS = ("image_dir", "is_reg", "class_tokens", "subsets")
"""Keys of ``dataset.toml`` that are no options."""


def read_dataset_facts(dataset: Path) -> DatasetFacts:
    """Read a DATASET folder's facts; InputError, in one line, for a missing or damaged file."""
    built = _read_dataset_file(dataset / "dataset.json", read_json)
    config = _read_dataset_file(dataset / "dataset.toml", read_toml)
    try:
        subsets = [subset for entry in config["datasets"] for subset in entry["subsets"]]
        train, reg = ([s for s in subsets if bool(s.get("is_reg")) is r] for r in (False, True))
        images = {kind: _image_paths(dataset, s) for kind, s in (("train", train), ("reg", reg))}
        return DatasetFacts(
            n_train=len(images["train"]),
            n_reg=len(images["reg"]),
            n_val=len(list((dataset / "val").glob("*.png"))),
            repeats=train[0].get("num_repeats", 1) if train else 1,
            reg_repeats=reg[0].get("num_repeats", 1) if reg else 1,
            format=built.get("format", {}).get("name"),
            resolution=_resolution(config),
            sizes=frozenset(png_size(path) for paths in images.values() for path in paths),
            tokens=_token_counts(dataset / "manifest.parquet"),
            stated=_stated_options(config),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{dataset}: dataset.toml or dataset.json is not as dmm data build writes it ({error})"
        ) from error


def gather_facts(dataset: Path | None, base: Path) -> Facts:
    """Gather all facts of a run; InputError or ModelError, in one line, for unreadable input.

    Without a dataset, its facts are unknown.
    """
    from ..checkpoints.architecture import prediction_type, read_architecture
    from ..checkpoints.header import read_header, read_metadata
    from ..checkpoints.lora import LATENTS
    from ..devices import pick_device

    shapes = read_architecture(base)
    return Facts(
        architecture=shapes.kind,
        dataset=read_dataset_facts(dataset) if dataset else None,
        base=BaseFacts(
            prediction_type=prediction_type(base),
            format=read_metadata(base).get("dmm_format"),
            width=shapes.model_channels,
            weight_bytes=round(base.stat().st_size / sum(map(prod, read_header(base).values()))),
            latents=read_metadata(base).get(LATENTS),
        ),
        packages=frozenset(name for name in OPTIONAL_PACKAGES if find_spec(name)),
        device=pick_device("auto"),
    )


def png_size(path: Path) -> tuple[int, int]:
    """Width and height of a PNG, from its first 24 bytes; InputError for another file."""
    with open_bytes(path) as file:
        head = file.read(24)
    if len(head) < 24 or head[:8] != b"\x89PNG\r\n\x1a\n":
        raise InputError(f"{path}: not a PNG; build the dataset again")
    width, height = struct.unpack(">II", head[16:])
    return width, height


def _read_dataset_file(path: Path, read: Any) -> dict[str, Any]:
    """Read a file of the dataset; InputError if it is missing or damaged."""
    if not path.is_file():
        raise InputError(f"{path.parent}: not a dataset (no {path.name}); make one: dmm data build")
    return read(path)


def _image_paths(dataset: Path, subsets: list[dict[str, Any]]) -> list[Path]:
    return [path for subset in subsets for path in (dataset / subset["image_dir"]).glob("*.png")]


def _resolution(config: Mapping[str, Any]) -> tuple[int, int] | None:
    """Width and height in pixels; None if ``dataset.toml`` states none."""
    found = config["datasets"][0].get("resolution", config.get("general", {}).get("resolution"))
    if found is None:
        return None
    return (found, found) if isinstance(found, int) else (found[0], found[1])


def _stated_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Options in all tables, by the engine's names.

    Those of a subset override those of its dataset, which override the general ones.
    """
    found: dict[str, Any] = dict(config.get("general", {}))
    for entry in config["datasets"]:
        for table in (entry, *entry["subsets"]):
            found |= {key: value for key, value in table.items() if key not in NOT_OPTIONS}
    return {OPTION_NAMES.get(key, key): value for key, value in found.items()}


def _token_counts(manifest: Path) -> tuple[int, ...]:
    """Token counts of captions that are trained on, unknown ones left out.

    Empty without a manifest.
    """
    if not manifest.is_file():
        return ()
    table = read_table(manifest, ["split", "tokens"])
    pairs = zip(table["split"].to_pylist(), table["tokens"].to_pylist(), strict=True)
    return tuple(count for split, count in pairs if split in ("train", "reg") and count)
