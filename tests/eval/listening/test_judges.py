import numpy as np
import pytest
import soundfile

from dataset_tools.sources.minimidi import caption, compose, render
from eval.embedders.nano_clap import load_nano_clap
from eval.listening.hearing import SR
from eval.listening.judges import HEARD, Heard, likeliest, load_judges

FRESH_SEED = 6_000_000
"""No piece from here on trained the judges or tuned them."""


@pytest.fixture(scope="module")
def pieces():
    return [compose(FRESH_SEED + i) for i in range(24)]


@pytest.fixture(scope="module")
def sounds(pieces):
    return [render(piece, SR).mean(0) for piece in pieces]


@pytest.fixture(scope="module")
def heard(sounds):
    return load_judges().hear_audio(sounds)


def test_the_instruments_of_fresh_pieces_are_heard_and_no_others(pieces, heard):
    own = [{*piece.instruments, piece.drums} - {None} for piece in pieces]
    right = sum(len(a & b.sounds) for a, b in zip(own, heard, strict=True))
    assert right >= 0.85 * sum(map(len, own))
    assert right >= 0.85 * sum(len(found.sounds) for found in heard)


def test_style_and_drums_of_fresh_pieces_are_heard(pieces, heard):
    both = list(zip(pieces, heard, strict=True))
    assert sum(likeliest(h.style) == p.style for p, h in both) >= 0.75 * len(both)
    assert sum(likeliest(h.drums) == (p.drums or "no drums") for p, h in both) >= 0.9 * len(both)


def test_a_fresh_piece_lies_nearest_its_own_caption(pieces, sounds, tmp_path):
    for i, sound in enumerate(sounds):
        soundfile.write(tmp_path / f"{i:02}.wav", sound, SR)
    nano = load_nano_clap()
    captions = [caption(piece) for piece in pieces]
    nearest = nano.embed(sorted(tmp_path.glob("*.wav"))) @ nano.embed_text(captions).T
    right = sum(captions[k] == captions[i] for i, k in enumerate(nearest.argmax(1)))
    assert right >= 0.6 * len(pieces)


def test_probabilities_sum_to_one_and_modes_are_sums_of_keys(heard):
    for found in heard:
        for classes in (found.drums, found.tempo, found.key, found.style, found.mode):
            assert sum(classes.values()) == pytest.approx(1, abs=1e-5)
        majors = [p for key, p in found.key.items() if key.endswith(" major")]
        assert len(majors) == 12
        assert found.mode["major"] == pytest.approx(sum(majors))


def test_a_kit_counts_as_a_sound_only_where_there_are_drums():
    silent = Heard({"piano": HEARD, "flute": 0.4}, {"no drums": 0.8, "kit": 0.2}, {}, {}, {})
    drummed = Heard({"piano": HEARD}, {"no drums": 0.3, "kit": 0.7}, {}, {}, {})
    assert silent.sounds == {"piano"}
    assert drummed.sounds == {"piano", "kit"}


def test_files_arrays_and_other_rates_are_heard_alike(sounds, tmp_path):
    judges = load_judges()
    soundfile.write(tmp_path / "a.wav", sounds[0], SR, subtype="FLOAT")
    (file,) = judges.hear([tmp_path / "a.wav"])
    (array,) = judges.hear_audio([sounds[0]])
    assert file == array
    doubled = np.interp(np.arange(2 * len(sounds[0])) / 2, np.arange(len(sounds[0])), sounds[0])
    (other,) = judges.hear_audio([doubled.astype(np.float32)], 2 * SR)
    assert likeliest(other.style) == likeliest(array.style)


def test_a_long_sound_is_the_mean_of_its_windows(sounds):
    judges = load_judges()
    apart = judges.hear_audio(sounds[:2])
    (together,) = judges.hear_audio([np.concatenate(sounds[:2])])
    for name, p in together.instruments.items():
        assert p == pytest.approx(np.mean([h.instruments[name] for h in apart]), abs=1e-3)
