"""Explain a setting: what it does, default, values in presets and reasons (``--explain KEY``)."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..engine import ROOT
from ..errors import PresetError
from ..files import read_toml
from .engine_options import Option, loss_weights
from .known_settings import did_you_mean, known_options
from .launcher import STATED_ELSEWHERE
from .presets import ABLATIONS, preset_names, read_layers, resolve
from .rules.base import ARCHITECTURES
from .rules.engine import OURS_INSTEAD
from .values import toml_value

PATH = ROOT / "presets" / "explain.toml"
WIDTH = 100
KINDS = {
    "flag": "true or false",
    "int": "a whole number",
    "float": "a number",
    "number": "steps or, below 1, a share of them",
    "str": "text",
}


@dataclass(frozen=True)
class Explanation:
    """All that is known about a setting."""

    key: str
    option: Option
    what: str
    why: str | None
    presets: Mapping[str, tuple[str, ...]]
    """Each value that shipped presets state, with the names of these presets."""
    ablations: Mapping[str, tuple[str, ...]]

    def __str__(self) -> str:
        """Several lines, the first with the key."""
        lines = [f"{self.key}: {self.what}", f"  takes: {_accepted_values(self.option)}"]
        lines.append(f"  read by: {_reader_name(self.option)}")
        lines.append(f"  default: {toml_value(self.option.default)}")
        lines += [f"  {value} in {', '.join(names)}" for value, names in self.presets.items()]
        lines += [f"  ablation: {value} in {', '.join(n)}" for value, n in self.ablations.items()]
        lines += [f"  why: {self.why}"] if self.why else []
        wrapped = (textwrap.wrap(x, WIDTH, subsequent_indent="    ") for x in lines)
        return "\n".join(line for group in wrapped for line in group)


@cache
def read_explanations() -> dict[str, dict[str, str]]:
    """The texts in ``presets/explain.toml``: ``what`` and often ``why``, by setting."""
    return read_toml(PATH)


def explain(key: str) -> Explanation:
    """Explain a setting, also in the spelling of a table (``huber.start``).

    PresetError, for an unknown one, names those with this prefix or else the most similar one.
    """
    key = key.strip().replace(".", "_")
    options = known_options()
    if key not in options:
        similar = sorted(name for name in options if name.startswith(f"{key}_"))
        hint = f"; there are {', '.join(similar)}" if similar else did_you_mean(key, options)
        raise PresetError(f"no setting {key!r} in the engine or its plugin{hint}")
    words = read_explanations().get(key, {})
    return Explanation(
        key,
        options[key],
        _meaning(key, words),
        words.get("why"),
        _values_in_presets(key),
        _values_in_ablations(key),
    )


def _meaning(key: str, words: Mapping[str, str]) -> str:
    """Sentences on what a setting does, and on what to use instead where it has no effect."""
    help_line = loss_weights().get(key, "")
    what = words["what"] if words else f"{help_line[:1].upper()}{help_line[1:]}." * bool(help_line)
    sentences = [what] if what else []
    if key in STATED_ELSEWHERE:
        sentences.append(f"Not for a preset: it is given by {STATED_ELSEWHERE[key]}.")
    elif key in OURS_INSTEAD and not words:
        instead = f"; use {OURS_INSTEAD[key]}" if OURS_INSTEAD[key] else ""
        sentences.append(f"Does nothing here, because our trainer does this itself{instead}.")
    return " ".join(sentences) or "Passed through to sd-scripts unchanged."


def _values_in_presets(key: str) -> dict[str, tuple[str, ...]]:
    stated = ((name, resolve(name).stated) for name in preset_names())
    return _names_by_value({name: settings[key] for name, settings in stated if key in settings})


def _values_in_ablations(key: str) -> dict[str, tuple[str, ...]]:
    stated = ((name, read_layers(name)[-1].values) for name in preset_names(ABLATIONS))
    return _names_by_value({name: values[key] for name, values in stated if key in values})


def _names_by_value(values: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Invert preset names to values: the names by the value that they state, as text."""
    found: dict[str, tuple[str, ...]] = {}
    for name, value in values.items():
        found[toml_value(value)] = (*found.get(toml_value(value), ()), name)
    return found


def _accepted_values(option: Option) -> str:
    kind = f"one of {', '.join(option.choices)}" if option.choices else KINDS[option.kind]
    return f"a list, each {kind}" if option.is_list else kind


def _reader_name(option: Option) -> str:
    """The program that reads an option."""
    if option.owner == "launcher":
        return "dmm train"
    if option.owner == "plugin":
        return "our trainer"
    return "sd-scripts, for " + " and ".join(ARCHITECTURES[name] for name in option.trainers)
