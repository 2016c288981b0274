"""Ids of clips, which are the names of their files: ``TRACK-0003``; copies: ``TRACK-a1-0003``.

No id may be a prefix of another, because sd-scripts finds an image's cached latents by the prefix
of their file name (library/train_util.py, ``DreamBoothDataset``).
"""

CLIP_ID = r"[a-z0-9-]+-[0-9a-f]{10}(-a\d+)?-(\d{4}|x+\d{5,})"
"""Pattern of the ids; the ten hexadecimal digits are the end of the track's id."""


def clip_id(track: str, window: int) -> str:
    """Id of a track's window, counted from 0; has an x for every digit beyond the fourth.

    Without the x, ``-1000`` would be a prefix of ``-10000``.

    >>> clip_id("song-0123456789", 3), clip_id("song-0123456789", 12345)
    ('song-0123456789-0003', 'song-0123456789-x12345')
    """
    digits = f"{window:04d}"
    return f"{track}-{'x' * (len(digits) - 4)}{digits}"


def copy_id(clip: str, number: int) -> str:
    """Id of an augmented copy of a clip, counted from 1.

    >>> copy_id("song-0123456789-0003", 1)
    'song-0123456789-a1-0003'
    """
    track, _, window = clip.rpartition("-")
    return f"{track}-a{number}-{window}"


def window_number(clip: str) -> int:
    """Number of the window, in its track, that a clip or a copy of it was cut from.

    >>> window_number("song-0123456789-a1-0003"), window_number("song-0123456789-x12345")
    (3, 12345)
    """
    return int(clip.rpartition("-")[2].lstrip("x"))
