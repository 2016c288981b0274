import numpy as np
import pytest
from scipy import fft, signal

from dmm.codec.decode import decode, soft_limit
from dmm.codec.decode_torch import decode_batch
from dmm.codec.mel import encode, from_level, load_format, mel_filterbank, mel_magnitude, stft
from dmm.codec.mel_inverse import linear_magnitude
from dmm.codec.pghi import initial_phasors

NANO = load_format("nano")


def seconds(n_hops):
    return np.arange(n_hops * NANO.hop_length) / NANO.sr


def chirp(n_hops=128, level=0.3):
    t = seconds(n_hops)
    return level * signal.chirp(t, 200, t[-1], 4000, method="logarithmic")[None]


def convergence(original, restored):
    """Spectral convergence without gain matching, on frames of our own format."""
    x, y = (np.abs(stft(z, NANO)) for z in (original[0], restored[0]))
    return np.linalg.norm(x - y) / np.linalg.norm(x)


def rms_db(sound):
    return 10 * np.log10(np.mean(np.square(sound)))


def test_a_chirp_survives_and_more_steps_bring_it_closer():
    original = chirp()
    image = encode(original, NANO)
    fast, default, best = (
        convergence(original, decode(image, NANO, q)) for q in ("fast", "default", "best")
    )
    assert best < default < fast < 0.08 and default < 0.05


def test_decoding_again_gives_the_same_samples():
    image = encode(chirp(32), NANO)
    assert (decode(image, NANO) == decode(image, NANO)).all()


def test_loudness_survives_and_so_does_a_copy_30_db_down(rng):
    noise = signal.lfilter([1], [1, -0.9], rng.normal(size=128 * NANO.hop_length))[None]
    loud = 0.1 * noise / np.abs(noise).max() + chirp()
    for original in (loud, loud * 10 ** (-30 / 20)):
        restored = decode(encode(original, NANO), NANO)
        assert rms_db(restored) == pytest.approx(rms_db(original), abs=0.15)


@pytest.mark.parametrize("name", ["nano", "riffusion"])
def test_silence_stays_silent(name):
    fmt = load_format(name)
    sound = decode(encode(np.zeros((1, 8 * fmt.hop_length)), fmt), fmt)
    assert sound.shape == (1, 8 * fmt.hop_length) and not sound.any()


def test_no_sample_of_a_full_scale_square_passes_full_scale():
    square = np.sign(np.sin(2 * np.pi * 220 * seconds(64)))[None]
    assert 0.9 < np.abs(decode(encode(square, NANO), NANO)).max() <= 1


def test_random_pixels_stay_within_full_scale(rng):
    image = rng.integers(0, 256, (NANO.n_mels, 40), dtype=np.uint8)
    sound = decode(image, NANO)
    assert np.isfinite(sound).all() and np.abs(sound).max() <= 1


def test_the_limiter_leaves_what_is_below_its_knee_and_keeps_the_order():
    samples = np.linspace(-3, 3, 601, dtype=np.float32)
    limited = soft_limit(samples)
    quiet = np.abs(samples) <= 0.9
    assert (limited[quiet] == samples[quiet]).all()
    assert (np.diff(limited) >= 0).all() and np.abs(limited).max() <= 1


def test_images_wider_and_narrower_than_a_clip_decode():
    for n_hops in (1, 3, NANO.n_frames + 70):
        assert decode(encode(chirp(n_hops), NANO), NANO, "fast").shape == (1, n_hops * 441)


def test_an_image_without_columns_gives_no_samples():
    assert decode(np.zeros((NANO.n_mels, 0), np.uint8), NANO).shape == (1, 0)


def test_another_row_count_is_refused():
    with pytest.raises(ValueError, match="255 rows"):
        decode(np.zeros((255, 4), np.uint8), NANO)


def test_stereo_keeps_the_sides_apart():
    t = seconds(96)
    original = np.stack([0.3 * np.sin(2 * np.pi * 330 * t), 0.2 * np.sin(2 * np.pi * 1500 * t)])
    left, right = decode(encode(original, NANO), NANO)
    low, high = round(330 * len(t) / NANO.sr), round(1500 * len(t) / NANO.sr)
    for sound, own, other in ((left, low, high), (right, high, low)):
        spectrum = np.abs(fft.rfft(sound))
        powers = [np.square(spectrum[f - 20 : f + 21]).sum() for f in (own, other)]
        assert 10 * np.log10(powers[0] / powers[1]) > 20


def test_sound_out_of_phase_between_the_sides_survives():
    original = np.concatenate([chirp(), -chirp()])
    restored = decode(encode(original, NANO), NANO)
    assert convergence(original[:1], restored[:1]) < 0.05
    assert np.abs(restored.sum(0)).max() < 1e-3


def test_the_mid_of_a_stereo_image_is_what_it_gives_alone():
    image = encode(np.concatenate([chirp(32), 0.5 * chirp(32)]), NANO)
    both = decode(image, NANO).mean(0)
    np.testing.assert_allclose(both, decode(image[..., 0], NANO)[0], atol=1e-5)


def test_the_mel_inverse_reproduces_the_picture(rng):
    mel = mel_magnitude(chirp(64)[0] + 0.01 * rng.normal(size=64 * 441), NANO)
    again = mel_filterbank(NANO) @ linear_magnitude(mel, NANO).T
    assert np.linalg.norm(again - mel) < 0.02 * np.linalg.norm(mel)


def test_the_first_phase_of_a_sine_advances_by_its_frequency():
    frequency_hz, fmt = 1000.0, NANO
    spectrum = stft(np.sin(2 * np.pi * frequency_hz * seconds(32)), fmt)
    phasors = initial_phasors(np.abs(spectrum), fmt.hop_length, fmt.win_length, fmt.n_fft)
    peak = round(frequency_hz * fmt.n_fft / fmt.sr)
    turned = phasors[9:24, peak] / phasors[8:23, peak]
    expected = np.exp(2j * np.pi * frequency_hz * fmt.hop_length / fmt.sr)
    assert np.abs(np.angle(turned / expected)).max() < 0.05


@pytest.mark.parametrize("stereo", [False, True])
def test_the_torch_path_comes_nearly_as_close(stereo):
    original = np.concatenate([chirp(), 0.4 * chirp()]) if stereo else chirp()
    image = encode(original, NANO)
    one, batch = decode(image, NANO), decode_batch(np.stack([image, image]), NANO, device="cpu")
    assert batch.shape == (2, *original.shape) and (batch[0] == batch[1]).all()
    assert convergence(original, batch[0]) < convergence(original, one) + 0.06
    assert rms_db(batch) == pytest.approx(rms_db(one), abs=0.1)


def test_the_torch_path_keeps_silence_silent():
    images = np.zeros((2, NANO.n_mels, 8), np.uint8)
    assert not decode_batch(images, NANO, device="cpu").any()


def test_both_paths_read_the_same_level_table():
    image = np.arange(256, dtype=np.uint8)[:, None].repeat(4, axis=1)
    assert from_level(image, NANO)[255] == pytest.approx(NANO.ref)
