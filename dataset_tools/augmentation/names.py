"""Names of the augmentations, for the command line; importing them is fast."""

from dmm.errors import InputError

AUGMENTATIONS = {
    "gain": "louder or softer, -6 to +3 dB, up to full scale",
    "roll": "begin on another beat; the part before it moves to the end",
    "pitch": "1 or 2 semitones up or down",
    "tempo": "up to 6 % slower or faster",
    "mixup": "mix in another clip of nearly the same tempo, beats aligned (MusicLDM, 2023)",
    # SpecAugment was made for classifiers. A generative model learns to generate the black bars.
    "spec": "black out bands and moments of the image (SpecAugment, 2019); not recommended,"
    " because a generative model learns to generate the bars",
}
"""Name: what it does, for the command line."""


def parse_augmentations(text: str) -> tuple[str, ...]:
    """Parse a comma-separated list of augmentations; InputError lists the known ones.

    >>> parse_augmentations("gain, roll")
    ('gain', 'roll')
    """
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    unknown = [name for name in names if name not in AUGMENTATIONS]
    if unknown:
        raise InputError(f"no augmentation {unknown[0]!r}; known: {', '.join(AUGMENTATIONS)}")
    return names
