"""Print every option of the engine and of our plugin as one line of JSON.

Run inside sd-scripts' environment: ``python -m dmm_ext.manifest``.
"""

import argparse
import json
from typing import Any

from .trainer import setup_parser

KINDS: dict[Any, str] = {int: "int", float: "float", str: "str", None: "str"}
"""Any other type is the engine's own reading of steps or, below 1, a share of them: a number."""


def manifest(parser: argparse.ArgumentParser) -> dict[str, dict[str, Any]]:
    """Kind, list or not, and choices of each option by its name in a configuration file."""
    return {
        action.dest: {
            "kind": "flag" if action.nargs == 0 else KINDS.get(action.type, "number"),
            "is_list": action.nargs in ("*", "+"),
            "choices": [str(choice) for choice in action.choices] if action.choices else None,
        }
        for action in parser._actions
        if action.dest != "help"
    }


if __name__ == "__main__":
    print(json.dumps(manifest(setup_parser())))
