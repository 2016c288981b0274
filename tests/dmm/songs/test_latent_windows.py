import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmm.songs.latent_windows import lay_windows

LAYOUTS = {
    "length": st.integers(1, 300),
    "width": st.integers(4, 64),
    "overlap": st.floats(0.05, 0.5),
    "loop": st.booleans(),
}


@given(**LAYOUTS)
def test_every_column_comes_from_a_window_that_covers_it(length, width, overlap, loop):
    windows = lay_windows(length, width, overlap, loop)
    seen = np.concatenate([windows.columns(i) for i in range(len(windows.starts))])
    for turn in (0, 1, 2):
        assert (seen[windows.sources(turn)] == np.arange(windows.length)).all()


@given(**LAYOUTS)
def test_windows_overlap_enough_and_are_as_few_as_possible(length, width, overlap, loop):
    windows = lay_windows(length, width, overlap, loop)
    stride = round(width * (1 - overlap))
    ends = [windows.length + windows.starts[0]] if loop else []
    steps = np.diff([*windows.starts, *ends])
    assert (steps <= stride).all()
    n = len(windows.starts)
    assert (
        n * stride < windows.length + stride
        if loop
        else (n - 1) * stride < max(windows.length - width, 0) + stride
    )


def test_overlapping_windows_alternate_by_column_and_by_step():
    windows = lay_windows(56, 32)
    (first, stop), *_ = windows.joints()
    assert (first, stop) == (24, 32)
    source = np.array([windows.sources(turn)[first:stop] // 32 for turn in (0, 1)])
    assert (source[0] + source[1] == 1).all() and (np.diff(source[0]) != 0).all()


@pytest.mark.parametrize("length", [5, 32, 50])
def test_a_loop_has_a_joint_at_its_end(length):
    joints = lay_windows(length, 32, loop=True).joints()
    assert joints[-1][0] == 0 and len(joints) == -(-length // 24)
