"""Procedural music with exact ground truth: compose, render, read the truth."""

from .captions import caption
from .compose import compose
from .midi import to_midi
from .piece import Note, Piece, truth
from .render import render
from .styles import BASE_STYLES, HELD_OUT_STYLES

__all__ = [
    "BASE_STYLES",
    "HELD_OUT_STYLES",
    "Note",
    "Piece",
    "caption",
    "compose",
    "render",
    "to_midi",
    "truth",
]
