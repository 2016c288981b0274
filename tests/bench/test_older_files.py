"""Caches of rendered training clips that earlier versions wrote are still read."""

from pathlib import Path

from bench.listener.data import labels_and_captions, load_or_render_clips
from bench.listener.pieces import base_piece
from bench.vocals.data import load_or_render_windows

OLD = Path(__file__).parents[1] / "golden" / "850b165"


def refused(seed):
    raise AssertionError(f"seed {seed} is rendered again")


def test_a_cached_block_of_the_listeners_clips_is_read():
    clips = load_or_render_clips(OLD / "listener", refused, 0, 1)
    assert clips.spectrograms.timbre.shape == (1, 128, 256)
    assert clips.descriptions[0].keys() == labels_and_captions(base_piece(0)[0]).keys()


def test_a_cached_block_of_vocal_windows_is_read(monkeypatch):
    monkeypatch.setattr("bench.vocals.data.labelled_waveforms", refused)
    windows = load_or_render_windows(OLD / "vocals", 0, 1)
    assert windows.levels.shape == (len(windows), 64, 100)
