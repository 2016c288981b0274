"""Windows of a track that arrives in blocks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_tools.windows import checked_and_padded, cut_windows, evenly_spread, rms_db
from dmm.errors import InputError


def blocks_of(n, sizes):
    """0, 1, ... n - 1 in blocks of the given sizes, in turn."""
    sound, start, found = np.arange(n, dtype=np.float32)[None], 0, []
    while start < n:
        size = sizes[len(found) % len(sizes)]
        found.append(sound[:, start : start + size])
        start += size
    return found


def cut(n, clip, hop, sizes, more=0):
    return list(cut_windows(blocks_of(n, sizes), clip, hop, more))


SIZES = st.lists(st.integers(1, 300), min_size=1, max_size=4)


@settings(deadline=None)
@given(n_clips=st.integers(1, 20), clip=st.integers(1, 100), sizes=SIZES)
def test_windows_tile_a_whole_number_of_clips_exactly(n_clips, clip, sizes):
    found = cut(n_clips * clip, clip, clip, sizes)
    covered = np.concatenate([w.sound[0] for w in found])
    assert covered.tolist() == list(range(n_clips * clip))


@settings(deadline=None)
@given(st.integers(1, 1000), st.integers(1, 100), st.integers(1, 150), SIZES, st.integers(0, 50))
def test_windows_are_exact_slices_and_at_most_half_a_clip_is_lost(n, clip, hop, sizes, more):
    found = cut(n, clip, hop, sizes, more)
    assert bool(found) == (n >= clip)
    for number, window in enumerate(found):
        end = min(window.start + clip + more, n)
        assert (window.index, window.sound[0, 0]) == (number, window.start)
        assert end - window.start >= window.sound.shape[1] >= clip
    if found:
        starts = [w.start for w in found]
        assert starts == sorted(set(starts)) and 2 * (n - starts[-1] - clip) < clip


@settings(deadline=None)
@given(st.integers(100, 1000), SIZES)
def test_how_a_track_arrives_makes_no_difference(n, sizes):
    whole = cut(n, 64, 40, [n], 16)
    assert [(w.start, w.sound.tobytes()) for w in cut(n, 64, 40, sizes, 16)] == [
        (w.start, w.sound.tobytes()) for w in whole
    ]


def test_memory_does_not_grow_with_the_track():
    held = (np.zeros((1, 1000), np.float32) for _ in range(1000))
    for window in cut_windows(held, 500, 500, 100):
        assert window.sound.base is None or window.sound.base.size < 5000


def test_level_of_a_sine_is_three_db_below_its_peak():
    sine = np.sin(2 * np.pi * np.arange(44100) / 100)[None].astype(np.float32)
    assert rms_db(0.1 * sine) == pytest.approx(-20 - 3.01, abs=0.01)
    assert rms_db(0 * sine) == -np.inf


def test_short_track_is_refused_with_both_lengths_or_padded_at_its_end():
    audio = [np.ones((2, 9), np.float32), np.ones((2, 5), np.float32)]
    with pytest.raises(InputError, match=r"too short: 1\.4 s; the format needs 5 s \(--pad"):
        list(checked_and_padded(audio, 50, 10, pad=False))
    padded = np.concatenate(list(checked_and_padded(audio, 50, 10, pad=True)), axis=1)
    assert padded[0].tolist() == [1] * 14 + [0] * 36


def test_spread_keeps_both_ends():
    assert evenly_spread(list(range(10)), 4) == [0, 3, 6, 9]
    assert evenly_spread([1, 2], None) == [1, 2]
