import numpy as np
import pytest

from dmm.registry import load_embedder
from eval import domain
from eval.commands.options import resolve_shared_options

SR = 22050


@pytest.fixture(scope="module")
def nano():
    return load_embedder("nano-clap")


@pytest.fixture
def known_rows(nano, monkeypatch):
    """Training clips along the first two axes."""
    rows = {nano.identity.weights_sha256: np.eye(2, nano.dim)}
    monkeypatch.setattr(domain, "_training_rows_by_weights", lambda: rows)


def test_the_shipped_rows_are_of_the_shipped_weights(nano):
    (rows,) = domain._training_rows_by_weights().values()
    assert domain._training_rows_by_weights().keys() == {nano.identity.weights_sha256}
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-3)


def test_distance_is_the_median_to_the_nearest_training_clip(nano, known_rows):
    angles = np.radians([0, 30, 60])
    rows = np.zeros((3, nano.dim), np.float32)
    rows[:, 0], rows[:, 2] = np.cos(angles), np.sin(angles)
    found = domain.measure_domain_fit(nano, rows)
    assert found.distance == pytest.approx(1 - np.cos(np.radians(30)))
    assert found.is_known


def test_an_embedder_without_training_clips_fits_all_music():
    assert domain.measure_domain_fit(load_embedder("mel-stats"), np.eye(2, 232)) is None


def test_mel_stats_is_the_default_for_music_that_nano_clap_does_not_know(
    tmp_path, write_clips, pulses
):
    noise = write_clips(tmp_path / "noise", [pulses(3, seed) for seed in range(4)], prompt=None)
    options = resolve_shared_options(noise, None, None)
    assert (options.embedder.name, options.second) == ("mel-stats", None)
    assert "nano-clap does not know this kind of music" in options.why


def test_two_embedders_are_the_default_for_minimidi(tmp_path, monkeypatch, clips):
    monkeypatch.setattr(domain, "LIMIT", 2.0)
    options = resolve_shared_options(clips, None, None)
    assert (options.embedder.name, options.second.name) == ("nano-clap", "mel-stats")


def test_a_named_embedder_is_used_alone(clips):
    options = resolve_shared_options(clips, "nano-clap", None)
    assert (options.embedder.name, options.second, options.why) == ("nano-clap", None, "")
