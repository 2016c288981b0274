"""Partners for mixup: clips of other tracks whose tempo fits."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

SR = 22050
PERIODS = {"a": 0.4, "b": 0.41, "c": 0.5, "d": 0.51, "e": 0.65, "f": 0.98, "steady": None}
"""Seconds between plucks: a and b fit each other, c, d and f (an octave below), e nothing."""
FITS = {"a": {"b"}, "b": {"a"}, "c": {"d", "f"}, "d": {"c", "f"}, "f": {"c", "d"}}


def plucks(period_s, hz, duration_s):
    """A tone that is struck every period, or held; float32 (samples)."""
    t = np.arange(round(duration_s * SR)) / SR
    level = 0.3 if period_s is None else 0.5 * np.exp(-8 * (t % period_s))
    return (level * np.sin(2 * np.pi * hz * t)).astype(np.float32)


@pytest.fixture
def pieces(music):
    """A file of two clips for every period."""
    for n, (name, period_s) in enumerate(PERIODS.items()):
        music(f"{name}.wav", text=f"pluck {name}", samples=plucks(period_s, 230.0 + 41 * n, 10.5))


def partners_of(dataset):
    """For every copy its track's letter, and its partner's or None."""
    rows = pq.read_table(dataset / "manifest.parquet").to_pylist()
    drawn = [(r["id"], json.loads(r["augmentation"])) for r in rows if r["augmentation"]]
    return [
        (clip.split("-")[0], d["mixup"]["partner"].split("-")[0] if "mixup" in d else None)
        for clip, d in drawn
    ]


def test_every_clip_with_a_fitting_one_elsewhere_is_mixed_and_no_other(pieces, build, tree):
    options = {"augment": ("mixup",), "val": 0.0, "test": 0.0, "duplicates": True}
    dataset = build(**options)
    found = partners_of(dataset)
    assert len(found) == 2 * len(PERIODS)
    for track, partner in found:
        assert partner in FITS.get(track, {None})
    before = tree(dataset)
    assert tree(build(**options)) == before
