"""What all clips of one command have in common, and what of it LoRAs and bases say themselves."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from ..checkpoints.architecture import read_architecture
from ..checkpoints.header import read_metadata
from ..checkpoints.lora import clip_skip
from ..codec.mel import MelFormat, load_format
from ..errors import PresetError
from .init_audio import Start
from .loading import Lora
from .requests import Request
from .sampling import Sampling

USUAL_FORMAT = "sdxl-512"
"""Where neither the command nor any file says which."""
T = TypeVar("T")


@dataclass(frozen=True)
class Recipe:
    """How every clip is made, the model aside."""

    fmt: MelFormat
    sampling: Sampling
    anchor: str = ""
    """Goes in front of every prompt."""
    clip_skip: int | None = None
    """The text encoder's layer that SD 1.5 attends to, from the end; None is the last."""
    stereo: bool = False
    """Keep colours, which are mid, side and balance; else they are averaged."""
    start: Start | None = None
    """The sound that clips begin from, if from one."""

    def text(self, prompt: str) -> str:
        """What the model is asked.

        >>> from dmm.codec.mel import load_format
        >>> Recipe(load_format("nano"), Sampling(), "mel music").text("slow piano")
        'mel music, slow piano'
        """
        return ", ".join(filter(None, (self.anchor, prompt)))

    def texts(self, request: Request) -> list[str]:
        """What the model is asked for a clip: its prompt, and the one that it goes toward."""
        return [self.text(prompt) for prompt in (request.prompt, *(request.toward or ())[:1])]


def make_recipe(
    model: Path,
    loras: Sequence[Lora] = (),
    sampling: Sampling | None = None,
    format_name: str | None = None,
    anchor: str | None = None,
    stereo: bool | None = None,
) -> Recipe:
    """What is None here is as the LoRAs' metadata says, else the base's, else as usual.

    PresetError, in one line, where two LoRAs say different things and this call says nothing.
    """
    learnt = {str(lora.path): read_metadata(lora.path) for lora in loras}
    own = read_metadata(model)
    if format_name:
        fmt = load_format(format_name)
    else:
        formats = {path: found for path in learnt if (found := _format(learnt[path], path))}
        fmt = _agreed(formats, "the mel format", "--format NAME", lambda fmt: fmt.name)
        fmt = fmt or _format(own, str(model)) or load_format(USUAL_FORMAT)
    if anchor is None:
        anchors = {path: found for path in learnt if (found := learnt[path].get("dmm_anchor"))}
        anchor = _agreed(anchors, "the anchor", '--anchor "WORDS" or --no-anchor', repr)
        anchor = anchor or own.get("dmm_anchor", "")
    if stereo is None:
        stated = {path: learnt[path].get("dmm_stereo") for path in learnt}
        stereos = {path: found == "true" for path, found in stated.items() if found}
        found = _agreed(stereos, "sound in", "--stereo or --mono", _channels)
        stereo = own.get("dmm_stereo") == "true" if found is None else found
    shapes = read_architecture(model)
    layers = {path: clip_skip(learnt[path], shapes) for path in learnt}
    layer = _agreed(layers, "clip skip", "only one of them", lambda layer: str(layer or 1))
    layer = layer or clip_skip(own, shapes)
    return Recipe(fmt, sampling or Sampling(), anchor, layer, stereo)


def _agreed(said: Mapping[str, T], what: str, remedy: str, show: Any) -> T | None:
    """What all that say something say; PresetError if two differ."""
    for path, value in said.items():
        first, expected = next(iter(said.items()))
        if value != expected:
            raise PresetError(
                f"{first} was trained for {what} {show(expected)}, {path} for {show(value)}; "
                f"use {remedy}"
            )
    return next(iter(said.values()), None)


def _format(metadata: Mapping[str, str], path: str) -> MelFormat | None:
    """The format in a file's metadata: its parameters, or else the name of one of ours."""
    parameters = json.loads(metadata.get("dmm_format_parameters") or "{}")
    if not parameters:
        name = metadata.get("dmm_format")
        return load_format(name) if name else None
    try:
        return MelFormat(**parameters)
    except ValidationError as error:
        raise PresetError(
            f"{path}: its mel format is damaged; name one with --format ({error.error_count()} "
            "faults)"
        ) from error


def _channels(stereo: bool) -> str:
    return "stereo" if stereo else "mono"
