import numpy as np
import pytest

from eval.windows import fill_windows, quantise_16_bit

SIZE = 480_000


def ramp(samples):
    return np.linspace(0.1, 0.9, samples, dtype=np.float32)


def test_looped_sound_fills_the_window_without_silence():
    audio = ramp(245_760)  # 5.12 s at 48 kHz
    (window,) = fill_windows(audio, SIZE)
    assert window.tolist() == [*audio, *audio[: SIZE - len(audio)]]


@pytest.mark.parametrize(
    ("samples", "copies"), [(240_000, 2), (245_760, 1), (480_000, 1), (3, 160_000)]
)
def test_legacy_repeats_whole_copies_then_is_silent(samples, copies):
    audio = ramp(samples)
    (window,) = fill_windows(audio, SIZE, "legacy")
    assert len(window) == SIZE
    assert window[: copies * samples].tolist() == np.tile(audio, copies).tolist()
    assert not window[copies * samples :].any()


@pytest.mark.parametrize("protocol", ["loop", "legacy"])
def test_long_sound_is_covered_by_even_windows_to_its_end(protocol):
    audio = np.arange(25 * 48_000, dtype=np.float32)
    found = fill_windows(audio, SIZE, protocol)
    assert [window[0] for window in found] == [0, 360_000, 720_000]
    assert all(len(window) == SIZE for window in found)
    assert found[-1][-1] == audio[-1]


def test_a_clip_of_exactly_the_window_is_left_alone_by_either_protocol():
    assert all(
        (fill_windows(ramp(SIZE), SIZE, way)[0] == ramp(SIZE)).all() for way in ("loop", "legacy")
    )


def test_sixteen_bits_cut_towards_zero_and_clip(rng):
    audio = rng.uniform(-1.2, 1.2, 1000).astype(np.float32)
    levels = quantise_16_bit(audio) * 32767
    assert levels == pytest.approx(np.trunc(np.clip(audio.astype(float), -1, 1) * 32767), abs=1)
    assert (np.abs(levels) <= np.abs(audio * 32767) + 0.01).all()
    assert levels == pytest.approx(np.round(levels), abs=1e-2)


def test_no_samples_are_refused():
    with pytest.raises(ValueError, match="no samples"):
        fill_windows(np.zeros(0, np.float32), SIZE)
