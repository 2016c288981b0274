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
"""Models of this repository; the few-step student, which plays fastest, comes first."""


@dataclass(frozen=True)
class OfferedBundle:
    """A bundle, and the path under which the page requests it."""

    path: str
    folder: Path
    bundle: Bundle

    def file(self, name: str) -> Path | None:
        """A file by its path within the bundle; None if ``bundle.json`` does not list it."""
        names = {FILE, *(stored.file for stored in self.bundle.files())}
        return self.folder / name if name in names else None


def open_or_export_bundles(models: Iterable[Path]) -> list[OfferedBundle]:
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
    """The first of ``DEFAULT_MODELS`` that exists."""
    return next(path for name in DEFAULT_MODELS if (path := MODELS / name).is_file())


def exported_bundle(model: Path) -> Path:
    """A checkpoint's bundle folder in the cache; exports the checkpoint if it is not there."""
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
    """Names and paths of the bundles, as JSON values that the page reads."""
    return {"bundles": [{"name": offer.bundle.name, "path": offer.path} for offer in offers]}


def bundle_list_json(offers: Iterable[OfferedBundle]) -> str:
    """``bundle_list`` as the text of ``bundles/index.json``."""
    return json.dumps(bundle_list(offers), indent=1) + "\n"
