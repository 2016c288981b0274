"""Check before hours of training that captions belong to their images.

nano-CLAP compares the sound of MiniMIDI clips with their own captions and with other clips'. A
dataset whose captions were shuffled trains a model that ignores prompts, which its loss hides.
"""

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from ..codec.decode import decode
from ..codec.mel import MelFormat
from ..errors import InputError
from ..registry import load_text_embedder

CLIPS = 48
LOWEST_SHARE = 0.7
"""Of clips whose own caption fits better; shuffled captions exceed it in one case of 500."""


def check_captions(
    images: UInt8[Tensor, "n rows frames"], captions: list[str], fmt: MelFormat
) -> float:
    """Share of up to ``CLIPS`` clips that fit their own caption better than another's.

    InputError if it is below ``LOWEST_SHARE``. Only for MiniMIDI clips, which nano-CLAP knows.
    """
    chosen = np.linspace(0, len(images) - 1, min(CLIPS, len(images))).round().astype(int)
    embedder = load_text_embedder("nano-clap")
    sounds = np.stack([decode(images[i].numpy(), fmt, "fast").mean(0) for i in chosen])
    heard = embedder.embed_sounds(sounds, fmt.sr)
    asked = embedder.embed_text([captions[int(i)] for i in chosen])
    own, others = ((heard * texts).sum(1) for texts in (asked, np.roll(asked, 1, axis=0)))
    share = float((own > others).mean())
    if share < LOWEST_SHARE:
        raise InputError(
            f"captions of {len(chosen)} clips fit their images in {share:.0%} (by chance 50%, "
            f"needed {LOWEST_SHARE:.0%}); build the dataset again"
        )
    return share
