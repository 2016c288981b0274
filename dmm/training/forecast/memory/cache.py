"""Keep measured steps on disk, since measuring one takes seconds.

Results lie under ``$DMM_CACHE`` by a hash of all that they depend on: the networks' sizes, the
settings and the versions of torch, diffusers and transformers.
"""

import hashlib
import json
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from ....checkpoints.tokenizers import cache_root
from ....files import write_text
from .measure import measure
from .step import Measured, Step

PACKAGES = ("torch", "diffusers", "transformers")
RULES = 1
"""Counted up whenever the measuring changes, so that older results are not found."""


def measured(step: Step) -> Measured:
    """The memory of a step, measured now or read from an earlier measurement of an equal step."""
    path = cache_root() / "memory" / f"{_fingerprint(step)}.json"
    try:
        return _read(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError):
        found = measure(step)
        write_text(path, json.dumps(asdict(found)) + "\n")
        return found


def _read(kept: dict[str, Any]) -> Measured:
    lora = tuple((tuple(shape), count) for shape, count in kept.pop("lora"))
    return Measured(lora=lora, **kept)


def _fingerprint(step: Step) -> str:
    versions = [version(package) for package in PACKAGES]
    facts = [RULES, versions, step.shapes.kind, asdict(step)]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]
