"""What a user can mend: one tree of errors, each printed by the command line as a single line.

DmmError            base: message = what, where, remedy
├── InputError      a file or folder of the user's that cannot be used
├── PresetError     a preset or a key=value setting that does not hold
├── EngineError     sd-scripts is missing, at the wrong commit, or failed
└── ModelError      a checkpoint or LoRA that cannot be loaded
"""


class DmmError(Exception):
    """A failure the user can mend; ``str(error)`` says what, where and the remedy in one line."""


class InputError(DmmError):
    """An audio file, image, caption or folder that cannot be used."""


class PresetError(DmmError):
    """A preset, format or setting that is unknown or out of range."""


class EngineError(DmmError):
    """sd-scripts cannot be cloned, is at another commit, or ended with an error."""


class ModelError(DmmError):
    """A checkpoint, LoRA or tokeniser that is missing or does not fit."""
