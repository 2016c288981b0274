"""DiffusionMiniMIDI: train and use your own music model on mel-spectrogram images.

Six functions for notebooks and scripts, each behind the command of the same name and with
parameters like its options: ``encode``, ``decode``, ``train``, ``generate``, ``song``, ``fuse``.
They are imported at first use, so ``import dmm`` is quick.

>>> sorted(__all__)
['decode', 'encode', 'fuse', 'generate', 'song', 'train']
"""

from typing import TYPE_CHECKING, Any

from .threads import limit_spinning

if TYPE_CHECKING:
    from .codec.convert import decode, encode
    from .fusing.fuse import fuse
    from .generation.generate import generate
    from .songs.song import song
    from .training.train import train

limit_spinning()  # here, because it must come before torch is imported

__all__ = ["decode", "encode", "fuse", "generate", "song", "train"]


def __getattr__(name: str) -> Any:
    """Import one of the functions in ``__all__`` at its first use."""
    match name:
        case "decode":
            from .codec.convert import decode as found
        case "encode":
            from .codec.convert import encode as found
        case "fuse":
            from .fusing.fuse import fuse as found
        case "generate":
            from .generation.generate import generate as found
        case "song":
            from .songs.song import song as found
        case "train":
            from .training.train import train as found
        case _:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
