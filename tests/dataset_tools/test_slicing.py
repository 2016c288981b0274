"""Windows of a track."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_tools.slicing import fit_to_clip, level_db, spread, window_starts
from dmm.errors import InputError


@given(n_clips=st.integers(1, 50), clip=st.integers(1, 100))
def test_windows_tile_a_whole_number_of_clips_exactly(n_clips, clip):
    starts = window_starts(n_clips * clip, clip, clip)
    covered = [sample for start in starts for sample in range(start, start + clip)]
    assert covered == list(range(n_clips * clip))


@given(st.integers(1, 1000), st.integers(1, 100), st.integers(1, 150))
def test_windows_lie_inside_and_at_most_half_a_clip_is_lost_at_the_end(n, clip, hop):
    if n < clip:
        return
    starts = window_starts(n, clip, hop)
    assert starts == sorted(set(starts)) and starts[-1] + clip <= n
    assert 2 * (n - starts[-1] - clip) < clip


def test_level_of_a_sine_is_three_db_below_its_peak():
    sine = np.sin(2 * np.pi * np.arange(44100) / 100)[None].astype(np.float32)
    assert level_db(0.1 * sine) == pytest.approx(-20 - 3.01, abs=0.01)
    assert level_db(0 * sine) == -np.inf


def test_short_track_is_refused_with_both_lengths_or_padded_at_its_end():
    audio = np.ones((2, 14), np.float32)
    with pytest.raises(InputError, match=r"too short: 1\.4 s; the format needs 5 s \(--pad"):
        fit_to_clip(audio, 50, 10, pad=False)
    assert fit_to_clip(audio, 50, 10, pad=True)[0].tolist() == [1] * 14 + [0] * 36


def test_spread_keeps_both_ends():
    assert spread(list(range(10)), 4) == [0, 3, 6, 9]
    assert spread([1, 2], None) == [1, 2]
