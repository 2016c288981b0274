"""Settings of a run's clips, apart from model, prompt and seed, by option or by file metadata."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ..checkpoints.architecture import read_architecture
from ..checkpoints.header import read_metadata
from ..checkpoints.lora import clip_skip
from ..choices import DEFAULT_FORMAT
from ..codec.mel import MelFormat, load_format, parse_format
from ..errors import PresetError
from ..files import parse_json
from .init_image import InitImage
from .loading import Lora
from .requests import ClipRequest, with_anchor
from .sampling import Sampling

T = TypeVar("T")


@dataclass(frozen=True)
class GenerationSettings:
    """How all clips of a run are generated, apart from model, prompt and seed."""

    fmt: MelFormat
    sampling: Sampling
    anchor: str = ""
    """Text in front of every prompt."""
    clip_skip: int | None = None
    """The text encoder's layer that SD 1.5 attends to, from the end; None is the last."""
    stereo: bool = False
    """Keep the colour channels, which are mid, side and balance; else their mean is used."""
    init: InitImage | None = None
    """Image to start from instead of noise alone."""

    def anchored_prompts(self, request: ClipRequest) -> list[str]:
        """The texts that the model reads for a clip: its prompt, and the one it morphs toward.

        >>> settings = GenerationSettings(load_format("nano"), Sampling(), "mel music")
        >>> settings.anchored_prompts(ClipRequest("slow piano", 0))
        ['mel music, slow piano']
        """
        prompts = [request.prompt, *(request.toward_prompt or ())[:1]]
        return [with_anchor(self.anchor, prompt) for prompt in prompts]

    def format_json(self) -> dict[str, Any]:
        """Format, stereo, clip skip and init image of a clip's JSON file."""
        return {
            "format": self.fmt.name,
            "stereo": self.stereo,
            **({"clip_skip": self.clip_skip} if self.clip_skip else {}),
            **(self.init.as_json() if self.init else {}),
        }


def resolve_settings(
    model: Path,
    loras: Sequence[Lora] = (),
    sampling: Sampling | None = None,
    format_name: str | None = None,
    anchor: str | None = None,
    stereo: bool | None = None,
) -> GenerationSettings:
    """Settings from the arguments, else the LoRAs' metadata, else the base's, else defaults.

    PresetError where two LoRAs disagree and no argument decides.
    """
    metadata = {str(lora.path): read_metadata(lora.path) for lora in loras}
    base = read_metadata(model)
    if format_name:
        fmt = load_format(format_name)
    else:
        formats = {
            path: found for path in metadata if (found := _recorded_format(metadata[path], path))
        }
        fmt = _agreed_value_or_error(
            formats, "the mel format", "--format NAME", lambda fmt: fmt.name
        )
        fmt = fmt or _recorded_format(base, str(model)) or load_format(DEFAULT_FORMAT)
    if anchor is None:
        anchors = {path: found for path in metadata if (found := metadata[path].get("dmm_anchor"))}
        anchor = _agreed_value_or_error(
            anchors, "the anchor", '--anchor "WORDS" or --no-anchor', repr
        )
        anchor = anchor or base.get("dmm_anchor", "")
    if stereo is None:
        stated = {path: metadata[path].get("dmm_stereo") for path in metadata}
        stereos = {path: value == "true" for path, value in stated.items() if value}
        found = _agreed_value_or_error(stereos, "sound in", "--stereo or --mono", _stereo_or_mono)
        stereo = base.get("dmm_stereo") == "true" if found is None else found
    shapes = read_architecture(model)
    layers = {path: clip_skip(metadata[path], shapes) for path in metadata}
    layer = _agreed_value_or_error(
        layers, "clip skip", "only one of them", lambda layer: str(layer or 1)
    )
    layer = layer or clip_skip(base, shapes)
    sampling = sampling or default_sampling(model, loras)
    return GenerationSettings(fmt, sampling, anchor, layer, stereo)


def other_format_note(fmt: MelFormat, model: Path, loras: Sequence[Lora] = ()) -> str | None:
    """Note on the first LoRA whose mel format is another; on the model if no LoRA states one."""
    stated: dict[Path, MelFormat] = {}
    for path in (*(lora.path for lora in loras), model):
        if path == model and stated:
            break
        with suppress(PresetError):  # damaged: --format was given for this reason
            if trained := _recorded_format(read_metadata(path), str(path)):
                stated[path] = trained
    for path, trained in stated.items():
        if trained != fmt:
            return (
                f"{path.name} was trained for the format {trained.name}, not {fmt.name}: its clips "
                "sound wrong in another one; leave out --format"
            )
    return None


def default_sampling(model: Path, loras: Sequence[Lora] = ()) -> Sampling:
    """Sampler, steps and guidance from the LoRAs' metadata, else the base's, else ``Sampling``'s.

    PresetError where two LoRAs disagree, and for metadata that name no sampler or number.
    """
    found: dict[str, Any] = {}
    for name, kind in (("sampler", str), ("steps", int), ("guidance", float)):
        stated = {str(lora.path): read_metadata(lora.path).get(f"dmm_{name}") for lora in loras}
        named = {path: value for path, value in stated.items() if value}
        value = _agreed_value_or_error(named, name, f"--{name}", str) or read_metadata(model).get(
            f"dmm_{name}"
        )
        try:
            found |= {name: kind(value)} if value else {}
        except ValueError as error:
            raise PresetError(f"{model}: its {name} is {value!r}; state --{name}") from error
    return Sampling(**found)


def _agreed_value_or_error(
    values: Mapping[str, T], name: str, remedy: str, show: Callable[[T], str]
) -> T | None:
    """The value that all LoRAs share, None if there is none; PresetError if two differ."""
    for path, value in values.items():
        first, expected = next(iter(values.items()))
        if value != expected:
            raise PresetError(
                f"{first} was trained for {name} {show(expected)}, {path} for {show(value)}; "
                f"use {remedy}"
            )
    return next(iter(values.values()), None)


def _recorded_format(metadata: Mapping[str, str], path: str) -> MelFormat | None:
    """The mel format in a file's metadata: by its parameters, else by its name."""
    where = f"{path}: its mel format is damaged, name one with --format"
    text = metadata.get("dmm_format_parameters") or "{}"
    if parameters := parse_json(text, where, error=PresetError):
        return parse_format(parameters, where, PresetError)
    name = metadata.get("dmm_format")
    return load_format(name) if name else None


def _stereo_or_mono(stereo: bool) -> str:
    return "stereo" if stereo else "mono"
