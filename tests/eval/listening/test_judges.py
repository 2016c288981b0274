import numpy as np
import pytest
import soundfile

from dataset_tools.sources.minimidi import caption, compose, render
from eval.embedders.nano_clap import load_nano_clap
from eval.listening.judges import (
    DETECTION_THRESHOLD,
    AttributeProbabilities,
    load_judges,
    most_probable_label,
)
from eval.listening.spectrograms import SR

FRESH_SEED = 6_000_000
"""No piece from here on trained the judges or tuned them."""


@pytest.fixture(scope="module")
def pieces():
    return [compose(FRESH_SEED + i) for i in range(24)]


@pytest.fixture(scope="module")
def sounds(pieces):
    return [render(piece, SR).mean(0) for piece in pieces]


@pytest.fixture(scope="module")
def detected(sounds):
    return load_judges().probabilities_of_audio(sounds)


def test_the_instruments_of_fresh_pieces_are_detected_and_no_others(pieces, detected):
    own = [{*piece.instruments, piece.drums} - {None} for piece in pieces]
    right = sum(len(a & b.detected_instruments_and_kit) for a, b in zip(own, detected, strict=True))
    assert right >= 0.85 * sum(map(len, own))
    assert right >= 0.85 * sum(len(found.detected_instruments_and_kit) for found in detected)


def test_style_and_drums_of_fresh_pieces_are_detected(pieces, detected):
    both = list(zip(pieces, detected, strict=True))
    assert sum(most_probable_label(d.style) == p.style for p, d in both) >= 0.75 * len(both)
    assert sum(
        most_probable_label(d.drums) == (p.drums or "no drums") for p, d in both
    ) >= 0.9 * len(both)


def test_a_fresh_piece_lies_nearest_its_own_caption(pieces, sounds, tmp_path):
    for i, sound in enumerate(sounds):
        soundfile.write(tmp_path / f"{i:02}.wav", sound, SR)
    nano = load_nano_clap()
    captions = [caption(piece) for piece in pieces]
    nearest = nano.embed(sorted(tmp_path.glob("*.wav"))) @ nano.embed_text(captions).T
    right = sum(captions[k] == captions[i] for i, k in enumerate(nearest.argmax(1)))
    assert right >= 0.6 * len(pieces)


def test_probabilities_sum_to_one_and_modes_are_sums_of_keys(detected):
    for found in detected:
        for classes in (found.drums, found.tempo, found.key, found.style, found.mode):
            assert sum(classes.values()) == pytest.approx(1, abs=1e-5)
        majors = [p for key, p in found.key.items() if key.endswith(" major")]
        assert len(majors) == 12
        assert found.mode["major"] == pytest.approx(sum(majors))


def test_a_kit_is_listed_only_if_there_are_drums():
    without_kit = AttributeProbabilities(
        {"piano": DETECTION_THRESHOLD, "flute": 0.4}, {"no drums": 0.8, "kit": 0.2}, {}, {}, {}
    )
    with_kit = AttributeProbabilities(
        {"piano": DETECTION_THRESHOLD}, {"no drums": 0.3, "kit": 0.7}, {}, {}, {}
    )
    assert without_kit.detected_instruments_and_kit == {"piano"}
    assert with_kit.detected_instruments_and_kit == {"piano", "kit"}


def test_files_arrays_and_other_rates_give_the_same_attributes(sounds, tmp_path):
    judges = load_judges()
    soundfile.write(tmp_path / "a.wav", sounds[0], SR, subtype="FLOAT")
    (file,) = judges.probabilities_of_files([tmp_path / "a.wav"])
    (array,) = judges.probabilities_of_audio([sounds[0]])
    assert file == array
    doubled = np.interp(np.arange(2 * len(sounds[0])) / 2, np.arange(len(sounds[0])), sounds[0])
    (other,) = judges.probabilities_of_audio([doubled.astype(np.float32)], 2 * SR)
    assert most_probable_label(other.style) == most_probable_label(array.style)


def test_a_long_sound_is_the_mean_of_its_windows(sounds):
    judges = load_judges()
    apart = judges.probabilities_of_audio(sounds[:2])
    (together,) = judges.probabilities_of_audio([np.concatenate(sounds[:2])])
    for name, p in together.instruments.items():
        assert p == pytest.approx(np.mean([h.instruments[name] for h in apart]), abs=1e-3)
