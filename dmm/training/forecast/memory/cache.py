"""Cache the counted memory of training steps on disk, because counting takes seconds.

Results are files in ``$DMM_CACHE``, named by a hash of all that they depend on: sizes of networks,
settings, and versions of torch, diffusers and transformers.
"""

import hashlib
import json
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from ....checkpoints.tokenizers import cache_root
from ....errors import InputError
from ....files import read_json, write_text
from .count_step import count_step
from .step import CountedStep, TrainingStep

PACKAGES = ("torch", "diffusers", "transformers")
METHOD = 1
"""Increase this whenever the counting changes, so that older results are not used."""


def counted_step(step: TrainingStep) -> CountedStep:
    """Count a step's memory, or read the result of an equal step from the cache."""
    path = cache_root() / "memory" / f"{_fingerprint(step)}.json"
    try:
        return _parse_counted_step(read_json(path))
    except (InputError, ValueError, TypeError, KeyError):
        counted = count_step(step)
        write_text(path, json.dumps(asdict(counted)) + "\n")
        return counted


def _parse_counted_step(stored: dict[str, Any]) -> CountedStep:
    lora = tuple((tuple(shape), count) for shape, count in stored.pop("lora"))
    return CountedStep(lora=lora, **stored)


def _fingerprint(step: TrainingStep) -> str:
    versions = [version(package) for package in PACKAGES]
    facts = [METHOD, versions, step.shapes.kind, asdict(step)]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]
