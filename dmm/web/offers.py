"""Bundles that the page offers: folders, and checkpoints, which are exported once."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..bundles.folder import open_bundle
from ..bundles.schema import FILE, Bundle
from ..checkpoints.tokenizers import cache_root
from ..engine import ROOT
from ..errors import InputError
from ..generation.requests import slug
from ..model_cards import sha256_of

MODELS = ROOT / "models"
DEFAULT_MODELS = ("nano-student/nano-student.safetensors", "nano/nano.safetensors")
"""The few-step student plays fastest, so it comes first."""


@dataclass(frozen=True)
class OfferedBundle:
    """A bundle and the path under which the page finds it."""

    path: str
    folder: Path
    bundle: Bundle

    def file(self, name: str) -> Path | None:
        """One of the bundle's files by its path within it; None for any other."""
        names = {FILE, *(stored.file for stored in self.bundle.files())}
        return self.folder / name if name in names else None


def find_bundles(models: Iterable[Path]) -> list[OfferedBundle]:
    """A bundle for each model, checkpoints exported first; DmmError for anything else."""
    offers: dict[str, OfferedBundle] = {}
    for model in models:
        folder = model if model.is_dir() else exported_bundle(model)
        bundle = open_bundle(folder)
        path = slug(bundle.name)
        while path in offers:
            path += "-2"
        offers[path] = OfferedBundle(path, folder, bundle)
    return list(offers.values())


def default_model() -> Path:
    """The model of this repository that plays fastest."""
    return next(path for name in DEFAULT_MODELS if (path := MODELS / name).is_file())


def exported_bundle(model: Path) -> Path:
    """A checkpoint's bundle in the cache, exported if it is not there."""
    from ..export.exporter import ExportOptions, default_prompts, export
    from ..generation.settings import resolve_settings

    if not model.is_file():
        raise InputError(f"{model}: no such file or folder; name a bundle or a checkpoint")
    folder = cache_root() / "bundles" / sha256_of(model)[:16] / slug(model.stem)
    if not folder.is_dir():
        settings = resolve_settings(model)
        export(ExportOptions(model, settings, default_prompts(settings.fmt)), folder)
    return folder


def bundle_list(offers: Iterable[OfferedBundle]) -> dict[str, Any]:
    """The list that the page reads."""
    return {"bundles": [{"name": offer.bundle.name, "path": offer.path} for offer in offers]}


def bundle_list_json(offers: Iterable[OfferedBundle]) -> str:
    """The same as the file ``bundles/index.json``."""
    return json.dumps(bundle_list(offers), indent=1) + "\n"
