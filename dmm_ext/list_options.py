"""List every option of the engine's LoRA trainers and of our plugin in a committed file.

``python -m dmm_ext.list_options --write``, with sd-scripts and this repository on ``PYTHONPATH``,
writes ``presets/engine-options.json``; without ``--write`` it prints the text. Only facts are taken
from the engine's parsers, none of its help texts.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import sdxl_train_network
import train_network

from dmm.engine import read_pin
from dmm.files import write_text
from dmm.training.engine_options import PATH, Option, options_text

from .losses import LOSSES
from .options import add_options

TRAINERS = {"sd15": train_network, "sdxl": sdxl_train_network}
KINDS: dict[Any, str] = {int: "int", float: "float", str: "str", Path: "str", None: "str"}
"""Other types are the engine's own: a number of steps, or below 1 a share of all steps."""


def list_options() -> dict[str, Option]:
    """Every option of every trainer, by its name in a preset; ValueError if two contradict."""
    ours = argparse.ArgumentParser(add_help=False)
    add_options(ours)
    options = _parser_options(ours, "plugin", tuple(TRAINERS))
    for trainer, module in TRAINERS.items():
        for key, option in _parser_options(module.setup_parser(), "engine", (trainer,)).items():
            if key in options and options[key].owner == "plugin":
                raise ValueError(f"the plugin's option {key!r} is one of the engine's too")
            options[key] = _merge_trainers(key, options.get(key), option)
    return options


def _parser_options(
    parser: argparse.ArgumentParser, owner: str, trainers: tuple[str, ...]
) -> dict[str, Option]:
    """The options of a parser, by their names in a preset."""
    return {
        action.dest: Option(
            kind="flag" if action.nargs == 0 else KINDS.get(action.type, "number"),
            is_list=action.nargs in ("*", "+"),
            choices=tuple(str(c) for c in action.choices if c is not None)
            if action.choices
            else None,
            default=action.default,
            owner=owner,
            trainers=trainers,
        )
        for action in parser._actions
        if action.dest != "help"
    }


def _merge_trainers(key: str, earlier: Option | None, added: Option) -> Option:
    """One entry for an option of several trainers; ValueError if they differ."""
    if earlier is None:
        return added
    merged = replace(added, trainers=(*earlier.trainers, *added.trainers))
    if merged != replace(earlier, trainers=merged.trainers):
        raise ValueError(f"the trainers differ in {key!r}: {earlier} and {added}")
    return merged


def loss_weight_help() -> dict[str, str]:
    """Help text of each added loss, by the setting that holds its weight."""
    return {name: loss.help for name, loss in LOSSES.items()}


def main() -> None:
    """Print the list of options, or write it to its file."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {PATH}")
    text = options_text(list_options(), read_pin(), loss_weight_help())
    if parser.parse_args().write:
        write_text(PATH, text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
