"""Prompt grammars: templates and the words that fill them (``presets/prompts``)."""

import random
from collections.abc import Iterator, Sequence
from itertools import combinations
from math import comb, prod
from pathlib import Path
from string import Formatter

from pydantic import BaseModel, Field

from ..engine import ROOT
from ..errors import PresetError
from ..files import read_toml

GRAMMARS = ROOT / "presets" / "prompts"


class Grammar(BaseModel, frozen=True, extra="forbid"):
    """All prompts that the templates and words allow, numbered from 0."""

    about: str = ""
    templates: tuple[str, ...] = Field(min_length=1)
    """``{slot}`` is replaced by one of its words; two of them in a template by different words."""
    words: dict[str, tuple[str, ...]]
    """Slot to the words that may fill it."""

    def size(self) -> int:
        """The number of prompts.

        >>> Grammar(templates=("{a} and {a}, {b}",), words={"a": [*"xyz"], "b": [*"12"]}).size()
        6
        """
        return sum(self._prompts_per_template())

    def prompt(self, number: int) -> str:
        """The prompt with that number; words of a slot that occurs twice stay in their order.

        ValueError for a number out of range.

        >>> grammar = Grammar(templates=("{a} and {a}, {b}",), words={"a": [*"xyz"], "b": [*"12"]})
        >>> [grammar.prompt(number) for number in (0, 1, 5)]
        ['x and y, 1', 'x and y, 2', 'y and z, 2']
        """
        for template, size in zip(self.templates, self._prompts_per_template(), strict=True):
            if number < size:
                return self._fill_template(template, number)
            number -= size
        raise ValueError(f"prompts are numbered up to {self.size() - 1}")

    def draw(self, count: int, seed: int) -> list[str]:
        """``count`` distinct random prompts, or all in order if there are no more.

        The same seed gives the same prompts; a larger count, below all, begins with them.
        """
        size = self.size()
        if count >= size:
            return [self.prompt(number) for number in range(size)]
        return [
            self.prompt(number)
            for number in _random_distinct_numbers(size, count, random.Random(seed))
        ]

    def _prompts_per_template(self) -> list[int]:
        """Number of different prompts that each template gives."""
        return [
            prod(
                comb(len(self.words[slot]), times) for slot, times in _slot_counts(template).items()
            )
            for template in self.templates
        ]

    def _fill_template(self, template: str, number: int) -> str:
        """The prompt of this number among a template's prompts."""
        taken: dict[str, Iterator[str]] = {}
        for slot, times in reversed(_slot_counts(template).items()):  # the last slot changes first
            choices = list(combinations(self.words[slot], times))
            number, place = divmod(number, len(choices))
            taken[slot] = iter(choices[place])
        parts = Formatter().parse(template)
        return "".join(text + (next(taken[slot]) if slot else "") for text, slot, _, _ in parts)


def grammar_names() -> list[str]:
    """Names of the grammars in ``presets/prompts``, sorted."""
    return sorted(path.stem for path in GRAMMARS.glob("*.toml"))


def load_grammar(name: str) -> Grammar:
    """The grammar of that name, or in that file; PresetError if it is invalid."""
    path = GRAMMARS / f"{name}.toml" if name in grammar_names() else Path(name)
    if not path.is_file():
        raise PresetError(f"no grammar {name!r}; known: {', '.join(grammar_names())}, or a file")
    grammar = read_toml(path, Grammar, error=PresetError)
    try:
        asked = [slot for template in grammar.templates for slot in _slot_counts(template)]
    except ValueError as error:  # an unclosed brace
        raise PresetError(f"{path}: no grammar ({error})") from error
    for slot in asked:
        if slot not in grammar.words:
            have = ", ".join(grammar.words)
            raise PresetError(f"{path}: a template asks for {{{slot}}}; [words] has {have}")
    if not grammar.size():
        raise PresetError(f"{path}: allows no prompt: a template takes more words than there are")
    return grammar


def _slot_counts(template: str) -> dict[str, int]:
    """The slots of a template in order, and how often each occurs."""
    found = [slot for _, slot, _, _ in Formatter().parse(template) if slot is not None]
    return {slot: found.count(slot) for slot in found}


def _random_distinct_numbers(size: int, count: int, rng: random.Random) -> Sequence[int]:
    """The first ``count`` numbers of a shuffled range, in memory for ``count`` numbers only."""
    moved: dict[int, int] = {}
    chosen = []
    for place in range(count):
        other = rng.randrange(place, size)
        chosen.append(moved.get(other, other))
        moved[other] = moved.get(place, place)
    return chosen
