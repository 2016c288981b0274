import math

import numpy as np
import pytest
import soxr
from scipy.signal import cheby2, sosfilt

from dataset_tools.quality import (
    Limits,
    Quality,
    gain_to_loudness,
    measure_quality,
    reason_to_refuse,
)

SR = 44100
GOOD = Quality(-18.0, -3.0, 0.0, 0.0, 0.0, 20000.0)


def sine(peak, hz=440.0, duration_s=3.0):
    t = np.arange(round(duration_s * SR)) / SR
    return (peak * np.sin(2 * np.pi * hz * t)).astype(np.float32)[None]


def test_a_sine_at_half_scale_is_measured_as_one():
    quality = measure_quality(sine(0.5, 997.0), SR)
    assert quality.loudness_lufs == pytest.approx(-9.03, abs=0.05)
    assert quality.peak_db == pytest.approx(-6.02, abs=0.01)
    assert (quality.clipped, quality.silence) == (0, 0)
    assert quality.dc == pytest.approx(0, abs=1e-4)
    assert quality.bandwidth_hz == pytest.approx(1000, abs=400)


@pytest.mark.parametrize("drive", [1.1, 2.0, 10.0])
def test_clipped_share_is_the_time_a_sine_spends_above_full_scale(drive):
    expected = 1 - 2 * math.asin(1 / drive) / math.pi
    clipped = measure_quality(sine(drive, 100.0).clip(-1, 1), SR).clipped
    assert clipped == pytest.approx(expected, rel=0.03)
    assert reason_to_refuse(
        measure_quality(sine(drive, 100.0).clip(-1, 1), SR), Limits()
    ).startswith("clipped: ")


def test_a_quiet_square_wave_and_a_full_scale_sine_are_not_clipped():
    assert measure_quality(np.sign(sine(1.0)) * np.float32(0.3), SR).clipped == 0
    assert measure_quality(sine(1.0), SR).clipped < 0.01


def test_dc_is_that_of_the_worse_channel():
    sound = np.concatenate([sine(0.1), sine(0.1) - np.float32(0.2)])
    assert measure_quality(sound, SR).dc == pytest.approx(-0.2, abs=1e-3)


def test_silence_is_the_share_of_time_without_sound(rng):
    sound = rng.normal(0, 0.1, (2, 4 * SR)).astype(np.float32)
    sound[:, SR:] *= 1e-4
    assert measure_quality(sound, SR).silence == pytest.approx(0.75, abs=0.02)


def test_digital_silence_has_neither_loudness_nor_bandwidth():
    quality = measure_quality(np.zeros((2, SR), np.float32), SR)
    assert quality == Quality(-math.inf, -math.inf, 0.0, 0.0, 1.0, 0.0)
    assert reason_to_refuse(quality, Limits()).startswith("silent: 100%")


@pytest.mark.parametrize("cutoff_hz", [5000, 11000, 16000])
def test_bandwidth_is_where_a_lowpass_cuts(rng, cutoff_hz):
    noise = rng.normal(0, 0.1, (1, 2 * SR))
    low = sosfilt(cheby2(16, 100, cutoff_hz, fs=SR, output="sos"), noise).astype(np.float32)
    assert measure_quality(low, SR).bandwidth_hz == pytest.approx(cutoff_hz, rel=0.05)
    assert measure_quality(noise.astype(np.float32), SR).bandwidth_hz == SR / 2


def test_upsampled_sound_in_sixteen_bits_is_found(rng):
    noise = rng.normal(0, 0.1, (2 * SR, 1)).astype(np.float32)
    up = soxr.resample(soxr.resample(noise, SR, 22050), 22050, SR)
    quality = measure_quality((np.round(up.T * 2**15) / 2**15).astype(np.float32), SR)
    assert quality.bandwidth_hz == pytest.approx(10900, abs=300)
    assert reason_to_refuse(quality, Limits(min_bandwidth_hz=15000.0)).startswith(
        "narrow: no sound above 1"
    )
    assert reason_to_refuse(quality, Limits()) is None


def test_each_limit_names_value_and_bound_in_one_line():
    limits = Limits(min_bandwidth_hz=15000.0)
    assert reason_to_refuse(GOOD, limits) is None
    assert reason_to_refuse(Quality(**vars(GOOD) | {"clipped": 0.031}), limits) == (
        "clipped: 3.1% of samples at full scale, limit 1.0%"
    )
    for name, value in {"dc": -0.2, "silence": 0.8, "bandwidth_hz": 8000.0}.items():
        assert "\n" not in reason_to_refuse(Quality(**vars(GOOD) | {name: value}), limits)


def test_gain_reaches_the_target_or_stops_below_full_scale():
    assert gain_to_loudness(-20.0, -14.0, peak_db=-10.0) == 6
    assert gain_to_loudness(-20.0, -14.0, peak_db=-3.0) == pytest.approx(2.9)
    assert gain_to_loudness(-10.0, -14.0, peak_db=0.5) == -4
    assert gain_to_loudness(-math.inf, -14.0, peak_db=-math.inf) == 0
