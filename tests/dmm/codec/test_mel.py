import numpy as np
import pytest

from dmm.codec.mel import (
    cut_clips,
    encode,
    format_names,
    from_level,
    load_format,
    mel_filterbank,
    to_level,
)

NANO = load_format("nano")


def sine(frequency_hz, fmt=NANO, level=0.5):
    return level * np.sin(2 * np.pi * frequency_hz * np.arange(fmt.clip_samples) / fmt.sr)[None]


@pytest.mark.parametrize("name", format_names())
def test_every_format_loads_and_has_no_empty_row(name):
    assert (mel_filterbank(load_format(name)).sum(1) > 0.99).all()


def test_a_hop_is_a_column():
    for n_hops in (1, 7, 256):
        assert encode(np.zeros((1, n_hops * NANO.hop_length)), NANO).shape == (256, n_hops)


def test_a_broken_hop_is_refused():
    with pytest.raises(ValueError, match="442 samples"):
        encode(np.zeros((1, 442)), NANO)


def test_a_sample_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        encode(np.full((1, 441), np.nan), NANO)


def test_a_sine_lands_in_the_row_of_its_frequency_with_low_ones_at_the_bottom():
    step_mel = 2595 * np.log10(1 + NANO.fmax / 700) / (NANO.n_mels + 1)
    for row in (40, 100, 200):
        frequency_hz = 700 * (10 ** ((row + 1) * step_mel / 2595) - 1)
        image = encode(sine(frequency_hz), NANO)
        assert abs(image[:, 128].argmax() - (NANO.n_mels - 1 - row)) <= 1


def test_a_full_scale_sine_just_fills_the_scale():
    image = encode(sine(440.0, level=1.0), NANO)
    assert 250 <= image.max() <= 255


def test_levels_there_and_back_are_the_same():
    values = np.arange(256, dtype=np.uint8)[None].repeat(512, axis=0)
    for name in ("sdxl-512", "riffusion"):
        fmt = load_format(name)
        assert (to_level(from_level(values, fmt), fmt) == values).all()


def test_silence_is_the_quiet_end_of_each_scale():
    assert not encode(np.zeros((1, 441)), NANO).any()
    assert (encode(np.zeros((1, 441)), load_format("riffusion")) == 255).all()


def test_stereo_is_mid_side_and_balance():
    left_only = np.concatenate([sine(1000.0), 0 * sine(1000.0)])
    middle = encode(np.repeat(sine(1000.0), 2, axis=0), NANO)
    left, right = encode(left_only, NANO), encode(left_only[::-1], NANO)
    assert (left[..., 0] == left[..., 1]).all() and (left[..., :2] == right[..., :2]).all()
    row = left[:, 128, 0].argmax()
    assert (left[row, :, 2] == 255).all() and (right[row, :, 2] == 1).all()
    assert (middle[..., 0] == encode(sine(1000.0), NANO)).all() and not middle[..., 1].any()


def test_clips_cover_the_sound_and_the_last_one_is_padded():
    sound = np.ones((1, 2 * NANO.clip_samples + 5))
    assert [c.sum() for c in cut_clips(sound, NANO)] == [NANO.clip_samples] * 2 + [5]
    assert len(list(cut_clips(sound, NANO, pad=False))) == 2
