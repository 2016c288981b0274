"""Prompts and mel format of a run's previews, from the settings or from the dataset."""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from dmm.checkpoints.header import read_metadata
from dmm.choices import DEFAULT_FORMAT
from dmm.codec.mel import MelFormat, load_format
from dmm.files import read_text
from dmm.training.trainer_constants import PROMPTS_FROM_CAPTIONS

T = TypeVar("T")


def preview_prompts(args: argparse.Namespace) -> list[str]:
    """``preview_prompts``, or else captions (*.txt) of ``preview_reference``; each once.

    ``PROMPTS_FROM_CAPTIONS`` captions are taken at equal distances from the sorted files, because
    the first ones are often of one style or track. SystemExit if there are neither prompts nor
    captions.
    """
    given = distinct_nonempty(args.preview_prompts or ())
    if given:
        return given
    if not args.preview_reference:
        raise SystemExit(
            "previews have no prompts: set preview_prompts, or preview_reference to a folder "
            "with captions, or leave out preview_every_n_steps"
        )
    files = sorted(Path(args.preview_reference).glob("*.txt"))
    found = distinct_nonempty(read_text(path) for path in files)
    if not found:
        raise SystemExit(
            f"{args.preview_reference}: no captions (*.txt) to take prompts from; set "
            "preview_prompts"
        )
    return evenly_spaced(found, PROMPTS_FROM_CAPTIONS)


def evenly_spaced(things: Sequence[T], count: int) -> list[T]:
    """``count`` of the things at equal distances, or all if there are fewer.

    >>> evenly_spaced("abcdefghij", 4)
    ['a', 'c', 'f', 'h']
    """
    if len(things) <= count:
        return list(things)
    return [things[i * len(things) // count] for i in range(count)]


def distinct_nonempty(texts: Iterable[str]) -> list[str]:
    """The texts that are not empty, in their order, each once.

    >>> distinct_nonempty(["piano", " ", "piano ", "organ"])
    ['piano', 'organ']
    """
    return [*dict.fromkeys(filter(None, (text.strip() for text in texts)))]


def preview_format(args: argparse.Namespace) -> MelFormat:
    """The mel format of the preview images, by the rule of ``dmm generate``.

    ``dmm_format`` in the LoRA's metadata (``lora_metadata``), else in the checkpoint's, else the
    default format. PresetError for an unknown one.
    """
    stated = dict(pair.split("=", 1) for pair in args.lora_metadata or ())
    if "dmm_format" not in stated:
        stated = read_metadata(Path(args.pretrained_model_name_or_path))
    return load_format(stated.get("dmm_format", DEFAULT_FORMAT))
