import itertools

import numpy as np
import pytest

from eval.bands import BandsFile, bands_for, read_bands_file
from eval.metrics.fad import frechet_distance

METRICS = sorted(BandsFile.model_fields.keys() - {"source"})


@pytest.mark.parametrize("metric", METRICS)
def test_bands_ascend_without_overlap_from_end_to_end(metric):
    bands = getattr(read_bands_file(), metric).bands
    assert bands[0].low is None and bands[-1].high is None
    for lower, upper in itertools.pairwise(bands):
        assert lower.high <= upper.low


@pytest.mark.parametrize(
    ("metric", "rating"),
    [("clap_score", "decent"), ("diversity", "healthy"), ("fad", "good"), ("cosine", "good")],
)
def test_the_first_models_scores_have_its_owners_ratings(metric, rating):
    bands = getattr(read_bands_file(), metric)
    assert bands.rating_of(bands.value) == rating


def test_a_band_includes_its_lower_bound_and_gaps_have_no_rating():
    assert read_bands_file().clap_score.rating_of(0.2) == "weak"
    assert read_bands_file().fad.rating_of(0.35) is None


@pytest.mark.parametrize(
    ("embedder", "protocol", "n", "shown"),
    [
        ("clap", "legacy", 10, True),
        ("clap", "legacy", 9, False),
        ("clap", "loop", 10, False),
        ("nano-clap", "legacy", 10, False),
    ],
)
def test_bands_are_shown_only_where_all_of_it_fits(embedder, protocol, n, shown):
    assert (bands_for("diversity", embedder, protocol, n) is not None) == shown


def test_few_clips_never_meet_the_bands_of_fad_nor_other_metrics_any():
    assert bands_for("fad", "clap", "legacy", 100) is None
    assert bands_for("kad", "clap", "legacy", 5000) is None


def test_the_bands_of_fad_call_real_music_good_or_memorised_by_number_alone(rng):
    scale = np.sqrt(0.3 / 0.7 * (decay := np.arange(1.0, 513) ** -1.05) / decay.sum())

    def real(n):
        x = rng.normal(size=(n, 512)) * scale + np.eye(512)[0]
        return x / np.linalg.norm(x, axis=1, keepdims=True)  # diversity about .3

    words = [
        read_bands_file().fad.rating_of(frechet_distance(real(n), real(500))) for n in (5, 100)
    ]
    assert words == ["good", "often memorising"]
