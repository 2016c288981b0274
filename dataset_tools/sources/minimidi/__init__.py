"""MiniMIDI, generated music whose instruments, tempo, key and notes are known exactly."""

from .captions import Prompt, caption, prompt
from .compose import compose
from .midi import to_pretty_midi
from .piece import Note, Piece, piece_facts
from .render import render
from .styles import BASE_STYLES, HELD_OUT_STYLES, UNSEEN_PAIRS

__all__ = [
    "BASE_STYLES",
    "HELD_OUT_STYLES",
    "UNSEEN_PAIRS",
    "Note",
    "Piece",
    "Prompt",
    "caption",
    "compose",
    "piece_facts",
    "prompt",
    "render",
    "to_pretty_midi",
]
