import io

import numpy as np
import pytest
import soundfile
import soxr

from dataset_tools.fingerprint import SAME, audio_fingerprint, find_duplicates, similarity

SR = 22050


def melody(seed, duration_s=7.0):
    """Notes of four harmonics at random pitches, eight a second, with a little noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(duration_s * SR)) / SR
    hz = np.repeat(110 * 2 ** (rng.integers(0, 36, 100) / 12), SR // 8)[: len(t)]
    phase = 2 * np.pi * np.cumsum(hz) / SR
    wave = sum(np.sin(k * phase) / k for k in range(1, 5)) * np.exp(-8 * (t % 0.125))
    return (0.2 * wave + rng.normal(0, 1e-3, len(t))).astype(np.float32)[None]


def clip(sound, start_s=1.0):
    start = round(start_s * SR)
    return sound[:, start : start + 5 * SR]


def through_mp3(sound):
    coded = io.BytesIO()
    options = {"bitrate_mode": "CONSTANT", "compression_level": 0.7}
    soundfile.write(coded, sound.T, SR, format="MP3", **options)
    return soundfile.read(io.BytesIO(coded.getvalue()), dtype="float32", always_2d=True)[0].T


CHANGES = {
    "gain": lambda sound: 0.1 * clip(sound),
    "stereo": lambda sound: np.repeat(clip(sound), 2, axis=0),
    "mp3": lambda sound: through_mp3(clip(sound)),
    "later": lambda sound: clip(sound, 1.47),
    "earlier": lambda sound: clip(sound, 0.53),
    "eq": lambda sound: clip(sound) + np.float32(0.3) * np.roll(clip(sound), 1),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found_and_other_music_is_not(change):
    prints = {str(seed): audio_fingerprint(clip(melody(seed)), SR) for seed in range(8)}
    prints["copy"] = audio_fingerprint(CHANGES[change](melody(3)), SR)
    (found,) = find_duplicates(prints)
    assert (found.id, found.original_id) == ("copy", "3")
    assert found.similarity >= SAME


def test_another_rate_gives_nearly_the_same_words():
    sound = clip(melody(0))
    up = soxr.resample(sound.T, SR, 48000).T
    assert similarity(audio_fingerprint(sound, SR), audio_fingerprint(up, 48000)) > 0.98


def random_prints(n, rng):
    return {f"{i}": rng.integers(1, 2**32, 200, dtype=np.uint32) for i in range(n)}


def test_the_first_given_stands_for_all_its_copies(rng):
    prints = random_prints(3, rng)
    prints |= {"x": prints["1"], "y": prints["1"][30:], "0b": prints["0"]}
    assert [(d.id, d.original_id) for d in find_duplicates(prints)] == [
        ("x", "1"),
        ("y", "1"),
        ("0b", "0"),
    ]
    backwards = dict(reversed(prints.items()))
    found = [(d.id, d.original_id) for d in find_duplicates(backwards)]
    assert found == [("x", "y"), ("1", "y"), ("0", "0b")]


def test_clips_of_one_track_are_left_alone(rng):
    prints = random_prints(2, rng)
    prints |= {"0 again": prints["0"], "other": prints["0"]}
    track = {"0": "a", "0 again": "a", "1": "b", "other": "c"}
    assert [(d.id, d.original_id) for d in find_duplicates(prints, track)] == [("other", "0")]


def test_overlap_of_less_than_half_is_not_compared(rng):
    long = rng.integers(1, 2**32, 300, dtype=np.uint32)
    assert similarity(long[:200], long[90:290], 90) == 1
    assert similarity(long[:200], long[110:], 110) == 0
    prints = {"a": long[:200], "b": long[90:290], "c": long[110:]}
    assert [(d.id, d.original_id) for d in find_duplicates({k: prints[k] for k in "ab"})] == [
        ("b", "a")
    ]
    assert find_duplicates({k: prints[k] for k in "ac"}) == []


def test_silence_is_like_nothing():
    silent = audio_fingerprint(np.zeros((1, 5 * SR), np.float32), SR)
    assert len(silent) > 190 and not silent.any()
    assert find_duplicates({"a": silent, "b": silent}) == []
    assert audio_fingerprint(np.zeros((1, 100), np.float32), SR).shape == (0,)
    assert find_duplicates({}) == []


def test_hundreds_of_copies_among_thousands_are_all_found(rng):
    prints = random_prints(2000, rng)
    flips = np.packbits(rng.random((300, 200, 32)) < 0.05, axis=2).view(np.uint32)[..., 0]
    prints |= {f"copy {i}": prints[str(i % 3)] ^ flips[i] for i in range(300)}
    found = {d.id: d.original_id for d in find_duplicates(prints)}
    assert found == {f"copy {i}": str(i % 3) for i in range(300)}
