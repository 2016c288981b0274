"""A clip that is there, to make variations of: its noise goes some way to that of other seeds."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..errors import InputError
from .folder import RESULT, read_settings
from .loaded_model import Studio
from .making import Maker, Order
from .requests import Request
from .sampling import Sampling

FREE = {"prompt", "seed", "toward", "drift", "anchor", "rank", RESULT}
"""Settings in which variations may differ from their original, beside those of the sampler."""


@dataclass(frozen=True)
class Original:
    """A clip of a CLIPS folder, by its settings."""

    clip_id: str
    stored: dict[str, Any]

    @property
    def sampling(self) -> Sampling:
        """How it was drawn."""
        return Sampling(**{field.name: self.stored[field.name] for field in fields(Sampling)})

    @property
    def anchor(self) -> str:
        """What stood before its prompt."""
        return self.stored["anchor"]

    def variations(self, count: int, seed: int | None, amount: float) -> list[Request]:
        """``count`` clips near it; 0 is the same clip, 1 no nearer than any other of its prompt.

        The other seeds count up from ``seed``, by default from the one after its own.

        >>> original = Original("organ-7", {"prompt": "organ", "seed": 7})
        >>> [request.clip_id for request in original.variations(2, None, 0.2)]
        ['organ-7-v8', 'organ-7-v9']
        """
        own, toward = self.stored["seed"], self.stored.get("toward")
        drift = tuple((number, share) for number, share in self.stored.get("drift", ()))
        used = {own, *(number for number, _ in drift)}
        first = own + 1 if seed is None else seed
        others = (number for number in range(first, first + count + len(used)))
        free = [number for number in others if number not in used][:count]
        return [
            Request(
                self.stored["prompt"],
                own,
                tuple(toward) if toward else None,
                (*drift, (other, amount)),
                f"{self.clip_id}-v{other}",
            )
            for other in free
        ]

    def check_same(self, order: Order, studio: Studio) -> None:
        """InputError, in one line, if it was made by another model, in another format or way."""
        request = Request(self.stored["prompt"], self.stored["seed"])
        now = Maker(order, studio).settings(request, (request,))
        free = FREE | {field.name for field in fields(Sampling)}
        for key in sorted((now.keys() | self.stored.keys()) - free):
            if now.get(key) != self.stored.get(key):
                path = order.out / f"{self.clip_id}.json"
                raise InputError(
                    f"{path}: the clip was made with {key} {_brief(self.stored.get(key))}, this "
                    f"command has {_brief(now.get(key))}; variations need what it was made with"
                )


def _brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 30 else f"{text[:27]}..."


def read_original(out: Path, name: str) -> Original:
    """The clip of that ID, or file name, in a CLIPS folder; InputError if there is none."""
    clip_id = Path(name).stem if name.endswith((".flac", ".png", ".json")) else name
    stored = read_settings(out, clip_id)
    if stored is None:
        there = sorted(path.stem for path in out.glob("*.json"))
        shown = ", ".join(there[:5]) + (" ..." if len(there) > 5 else "")
        raise InputError(f"{out}: no clip {clip_id!r}; there are: {shown or 'none'}")
    return Original(clip_id, stored)
