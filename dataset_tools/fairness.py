"""Warnings about a dataset without faults that will train or score badly.

Few test tracks make scores meaningless, captions from file names say nothing about the sound, a
handful of regularisation clips would be seen far too often, and peaks may prevent a loudness.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .choices import CLAP, NANO_CLAP_WARNING
from .dataset import Row
from .regularisation import too_few_reg

TEST_TRACKS, TEST_ARTISTS = 5, 3
"""Smallest numbers of tracks and of artists for trustworthy scores; unnamed artists count as one
a track."""
NAME_SHARE = 0.1
"""Share of captions from file names that is worth a warning."""
DESCRIBE_SHARE = 1 / 3
"""Share of captions from file names above which ``--describe`` is offered."""
LOUDNESS_SLACK_LU = 0.5


def fairness_warnings(rows: Sequence[Row], options: Mapping[str, Any]) -> list[str]:
    """One line for each reason to expect bad results; ``options`` as in ``dataset.json``."""
    found = (
        few_test_tracks(rows),
        names_as_captions(rows),
        described_by_nano_clap(rows, options),
        few_reg_clips(rows, options),
    )
    return [line for line in (*found, too_quiet(rows, options.get("loudness_lufs"))) if line]


def few_test_tracks(rows: Sequence[Row]) -> str | None:
    """Warning for a test split of few tracks or artists; None also without a test split."""
    test = [row for row in rows if row["split"] == "test"]
    tracks = {row["track"] for row in test}
    artists = {(row["artist"] or row["track"]).casefold() for row in test}
    if not tracks or (len(tracks) >= TEST_TRACKS and len(artists) >= TEST_ARTISTS):
        return None
    return (
        f"test/ holds {_count(len(tracks), 'track')} of {_count(len(artists), 'artist')}, too few "
        f"for scores ({TEST_TRACKS} tracks of {TEST_ARTISTS} artists are needed): add music, or "
        "build with a larger --test"
    )


def names_as_captions(rows: Sequence[Row]) -> str | None:
    """Warning if a tenth of the captions or more are file names or titles; otherwise None."""
    named = [row["caption"] for row in rows if row["caption_origin"] in ("rule", "title")]
    if len(named) < max(1, NAME_SHARE * len(rows)):
        return None
    offer = f"; --describe {CLAP} makes captions from the sound"
    return (
        f"{len(named)} of {len(rows)} captions are file names or titles, such as {named[0]!r}: "
        "write NAME.txt beside the audio, or edit them (dmm data captions export, import)"
        + (offer if len(named) > DESCRIBE_SHARE * len(rows) else "")
    )


def described_by_nano_clap(rows: Sequence[Row], options: Mapping[str, Any]) -> str | None:
    """Warning if nano-clap described other music than MiniMIDI's; otherwise None."""
    is_nano_clap = (options.get("describe") or "").startswith("nano-clap")
    is_other_music = any(row["source"] != "minimidi" for row in rows)
    return NANO_CLAP_WARNING if is_nano_clap and is_other_music else None


def few_reg_clips(rows: Sequence[Row], options: Mapping[str, Any]) -> str | None:
    """Warning if the regularisation clips are too few to be used; otherwise None."""
    n_train, n_reg = (sum(row["split"] == split for row in rows) for split in ("train", "reg"))
    reason = too_few_reg(n_train, n_reg, options.get("reg_repeats") or 1)
    return reason and f"reg/ is not used: {reason}; add music with --reg-input"


def too_quiet(rows: Sequence[Row], target_lufs: float | None) -> str | None:
    """Warning for tracks below the target loudness, because of their peaks; None without any."""
    if target_lufs is None:
        return None
    levels: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row["augmentation"] is None and row["loudness_lufs"] is not None:
            levels[row["track"]].append(row["loudness_lufs"])
    found = [10 * np.log10(np.mean(10 ** (np.array(own) / 10))) for own in levels.values()]
    quiet = [level for level in found if level < target_lufs - LOUDNESS_SLACK_LU]
    if not quiet:
        return None
    return (
        f"{len(quiet)} of {_count(len(found), 'track')} did not reach {target_lufs:g} LUFS "
        f"(the quietest has {min(quiet):.1f}), because their peaks allow no more: choose a lower "
        "--loudness for equal ones"
    )


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
