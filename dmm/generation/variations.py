"""Variations of an existing clip: its noise is interpolated toward other seeds."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..errors import InputError
from .clip_files import RESULT, read_clip_json
from .clip_maker import ClipMaker
from .requests import ClipRequest
from .sampling import Sampling

MAY_DIFFER = {"prompt", "seed", "toward", "drift", "anchor", "rank", RESULT}
"""JSON keys in which variations may differ from the original, beside those of ``Sampling``."""


@dataclass(frozen=True)
class OriginalClip:
    """A clip of a CLIPS folder that variations are made of."""

    clip_id: str
    stored: dict[str, Any]
    """Its JSON file."""

    @property
    def sampling(self) -> Sampling:
        """The sampler settings it was generated with."""
        return Sampling(**{field.name: self.stored[field.name] for field in fields(Sampling)})

    @property
    def anchor_text(self) -> str:
        """The text in front of its prompt."""
        return self.stored["anchor"]

    def variation_requests(
        self, count: int, seed: int | None, strength: float
    ) -> list[ClipRequest]:
        """``count`` clips near it: at strength 0 the same clip, at 1 as far as any other seed.

        The seeds to interpolate to count up from ``seed``, by default the one after its own.

        >>> original = OriginalClip("organ-7", {"prompt": "organ", "seed": 7})
        >>> [request.clip_id for request in original.variation_requests(2, None, 0.2)]
        ['organ-7-v8', 'organ-7-v9']
        """
        original_seed, toward = self.stored["seed"], self.stored.get("toward")
        steps = tuple((number, share) for number, share in self.stored.get("drift", ()))
        used = {original_seed, *(number for number, _ in steps)}
        first = original_seed + 1 if seed is None else seed
        others = (number for number in range(first, first + count + len(used)))
        free = [number for number in others if number not in used][:count]
        return [
            ClipRequest(
                self.stored["prompt"],
                original_seed,
                tuple(toward) if toward else None,
                (*steps, (other, strength)),
                f"{self.clip_id}-v{other}",
            )
            for other in free
        ]

    def check_same_model_and_format(self, maker: ClipMaker) -> None:
        """InputError if its model, format, stereo, clip skip or init image was another."""
        now = maker.clip_json(ClipRequest(self.stored["prompt"], self.stored["seed"]), 1)
        may_differ = MAY_DIFFER | {field.name for field in fields(Sampling)}
        for key in sorted((now.keys() | self.stored.keys()) - may_differ):
            if now.get(key) != self.stored.get(key):
                path = maker.out / f"{self.clip_id}.json"
                old, new = (_shortened_json(facts.get(key)) for facts in (self.stored, now))
                raise InputError(
                    f"{path}: the clip was made with {key} {old}, this command has {new}; "
                    "variations need the original's settings"
                )


def _shortened_json(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 30 else f"{text[:27]}..."


def read_original(folder: Path, name: str) -> OriginalClip:
    """The clip with that ID or file name in a CLIPS folder; InputError if there is none."""
    clip_id = Path(name).stem if name.endswith((".flac", ".png", ".json")) else name
    stored = read_clip_json(folder, clip_id)
    if stored is None:
        existing = sorted(path.stem for path in folder.glob("*.json"))
        shown = ", ".join(existing[:5]) + (" ..." if len(existing) > 5 else "")
        raise InputError(f"{folder}: no clip {clip_id!r}; there are: {shown or 'none'}")
    return OriginalClip(clip_id, stored)
