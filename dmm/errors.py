"""Errors that a user can fix; the command line prints each as a single line.

DmmError            base: the message says what, where and the remedy
├── InputError      a file or folder of the user that cannot be used
├── PresetError     an unknown or invalid preset, format or setting
├── EngineError     sd-scripts is missing, at the wrong commit, or failed
└── ModelError      a checkpoint or LoRA that cannot be loaded
"""


class DmmError(Exception):
    """A failure the user can fix; ``str(error)`` says what, where and the remedy in one line."""


class InputError(DmmError):
    """An audio file, image, caption or folder that cannot be used."""


class PresetError(DmmError):
    """A preset, format or setting that is unknown or out of range."""


class EngineError(DmmError):
    """sd-scripts cannot be cloned, is at another commit, or ended with an error."""


class ModelError(DmmError):
    """A checkpoint, LoRA or tokeniser that is missing or does not fit."""
