import json

import numpy as np
import pytest

from dataset_tools.augmentation.augment import (
    augment,
    spec_augment,
)
from dataset_tools.augmentation.augmented_caption import augmented_caption
from dataset_tools.augmentation.mixup import beat_period_s, onset_curve
from dataset_tools.augmentation.names import AUGMENTATIONS, parse_augmentations
from dataset_tools.augmentation.stretch import change_tempo, change_tempo_and_pitch
from dmm.errors import InputError

SR = 22050
CLIP = 5 * SR
SONG = 6 * SR


def sine(hz, n=SONG, level=0.5):
    return (level * np.sin(2 * np.pi * hz * np.arange(n) / SR))[None].astype(np.float32)


def clicks(period_s, n=SONG, offset_s=0.1):
    """Bursts of fixed noise."""
    sound = np.zeros((1, n), np.float32)
    burst = np.random.default_rng(1).normal(size=400) * np.exp(-np.arange(400) / 80)
    for start in np.arange(offset_s, n / SR - 0.05, period_s):
        sound[0, round(start * SR) :][:400] += 0.2 * burst
    return sound


def mixed_with(caption):
    return {"mixup": {"ratio": 0.6, "caption": caption}}


def frequency(sound):
    """Of the strongest partial, Hz, by a parabola through its log levels."""
    part = sound[SR:-SR] * np.blackman(len(sound) - 2 * SR)
    levels = np.log(np.abs(np.fft.rfft(part, 1 << 18)) + 1e-12)
    k = int(levels.argmax())
    left, middle, right = levels[k - 1 : k + 2]
    return (k + 0.5 * (left - right) / (left - 2 * middle + right)) * SR / (1 << 18)


@pytest.mark.parametrize(("tempo", "semitones"), [(0.94, 0), (1.06, 0), (1.0, 2), (1.06, -2)])
def test_a_sine_keeps_its_pitch_and_level_within_five_cents(tempo, semitones):
    changed = change_tempo_and_pitch(sine(441.7), tempo, semitones)
    assert abs(changed.shape[1] - SONG / tempo) <= 2
    cents = 1200 * np.log2(frequency(changed[0]) / 441.7) - 100 * semitones
    assert abs(cents) < 5
    middle = changed[0, SR:-SR]
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.01)


@pytest.mark.parametrize("rate", [0.94, 1.06])
def test_clicks_move_to_where_the_tempo_puts_them(rate):
    moved = change_tempo(clicks(0.5, offset_s=0.5), rate)[0]
    for place in np.arange(0.5, 4, 0.5) / rate:
        around = np.abs(moved[round((place - 0.2) * SR) : round((place + 0.2) * SR)])
        assert around.argmax() / SR - 0.2 == pytest.approx(0.0, abs=0.015)


def test_two_sines_stretched_are_two_sines_of_the_same_length():
    both = sine(440) + sine(660.5)
    expected = sine(440, round(SONG / 1.05)) + sine(660.5, round(SONG / 1.05))
    x, y = (np.abs(np.fft.rfft(s[0, SR : 5 * SR])) for s in (expected, change_tempo(both, 1.05)))
    assert np.linalg.norm(x - y) / np.linalg.norm(x) < 0.02


def test_stereo_keeps_its_balance_and_phase():
    left = sine(440) + clicks(0.4)
    changed = change_tempo_and_pitch(np.concatenate([left, -0.5 * left]), 1.04, 1)
    assert changed[1] == pytest.approx(-0.5 * changed[0], abs=1e-5)


def test_silence_before_a_note_does_not_mute_it():
    late = np.concatenate([np.zeros((1, SR), np.float32), sine(440, 2 * SR)], axis=1)
    assert np.abs(change_tempo(late, 1.05)[0, -SR:]).max() == pytest.approx(0.5, rel=0.05)


def test_the_same_seed_text_gives_the_same_clip_and_another_a_different_one():
    names = ("gain", "roll", "pitch", "tempo")
    segment = sine(300) + clicks(0.5)
    (a, parameters), (b, again), (c, _) = (
        augment(segment, SR, CLIP, names, s, None) for s in "aab"
    )
    assert parameters == again == json.loads(json.dumps(parameters))
    assert np.array_equal(a, b) and not np.array_equal(a, c)
    assert a.shape == (1, CLIP) and a.dtype == np.float32
    assert set(parameters) == {"gain_db", "roll_s", "pitch_semitones", "tempo"}


def test_leaving_one_out_does_not_change_the_parameters_of_the_others():
    parameters = [augment(sine(300), SR, CLIP, n, "x")[1] for n in (("gain", "tempo"), ("tempo",))]
    assert parameters[0]["tempo"] == parameters[1]["tempo"]


def test_without_augmentations_the_clip_is_unchanged():
    clip, parameters = augment(sine(300), SR, CLIP, (), "x")
    assert np.array_equal(clip, sine(300)[:, :CLIP]) and parameters == {}


def test_no_sample_ever_passes_full_scale():
    loud = sine(300, level=0.99) + 0.9 * np.sign(clicks(0.5))
    for seed in range(5):
        clip, parameters = augment(loud, SR, CLIP, ("gain", "tempo", "pitch"), str(seed))
        assert np.abs(clip).max() <= 1 and parameters["gain_db"] <= 3


def test_a_segment_of_one_clip_is_only_slowed_down():
    for seed in range(5):
        clip, parameters = augment(sine(300, CLIP), SR, CLIP, ("tempo", "roll"), str(seed))
        assert parameters["tempo"] <= 1 and clip.shape == (1, CLIP)


def test_less_than_a_clip_is_refused():
    with pytest.raises(ValueError, match="100 samples; a clip has 110250"):
        augment(sine(300, 100), SR, CLIP, (), "x")


def test_a_rolled_clip_holds_the_same_sound_without_a_click_at_the_seam():
    segment = sine(443.21)
    clip, parameters = augment(segment, SR, CLIP, ("roll",), "roll me")
    place = round(parameters["roll_s"] * SR)
    assert 0 <= place < CLIP
    assert clip[0, 0] == pytest.approx(segment[0, place], abs=0.01)
    assert np.abs(np.diff(clip[0])).max() < 1.05 * np.abs(np.diff(segment[0])).max()


def test_a_mixed_in_clip_falls_on_the_beats_at_the_tempo_of_the_first():
    lead, partner = clicks(0.5), clicks(0.52, offset_s=0.31)
    clip, parameters = augment(lead, SR, CLIP, ("mixup",), "x", partner)
    assert parameters["mixup"]["partner_tempo"] == pytest.approx(1.04, abs=0.01)
    assert 0.5 <= parameters["mixup"]["ratio"] <= 0.7
    curve = onset_curve(clip, SR)
    on = [curve[round(100 * s) - 3 : round(100 * s) + 4].max() for s in np.arange(0.6, 4.5, 0.5)]
    between = [curve[round(100 * s) : round(100 * s) + 20].max() for s in np.arange(0.7, 4.4, 0.5)]
    assert min(on) > 2 * max(between)


def test_clips_of_different_tempo_are_not_mixed():
    clip, parameters = augment(clicks(0.5), SR, CLIP, ("mixup",), "x", clicks(0.4))
    assert parameters == {} and np.array_equal(clip, clicks(0.5)[:, :CLIP])


@pytest.mark.parametrize("bpm", [75, 100, 120, 150])
def test_the_pulse_of_clicks_is_their_period(bpm):
    assert beat_period_s(onset_curve(clicks(60 / bpm), SR)) == pytest.approx(60 / bpm, rel=0.01)


def test_a_steady_tone_has_no_pulse():
    assert beat_period_s(onset_curve(sine(300)[:, SR:], SR)) is None


@pytest.mark.parametrize("shape", [(256, 256), (512, 512, 3)])
def test_masks_are_recorded_and_nothing_else_changes(shape):
    image = np.full(shape, 200, np.uint8)
    masked, parameters = spec_augment(image, "x")
    expected = image.copy()
    for start, size in parameters["spec"]["rows"]:
        expected[start : start + size] = 0
    for start, size in parameters["spec"]["frames"]:
        expected[:, start : start + size] = 0
    assert np.array_equal(masked, expected) and (masked == 0).any() and (image == 200).all()


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(InputError, match="no augmentation 'reverb'; known: gain, roll"):
        parse_augmentations("gain,reverb")
    assert parse_augmentations("") == () and parse_augmentations(",".join(AUGMENTATIONS)) == tuple(
        AUGMENTATIONS
    )


@pytest.mark.parametrize(
    ("caption", "parameters", "updated"),
    [
        ("120 bpm", {"tempo": 1.05}, "126 bpm"),
        ("fast, 128-BPM techno of 1999", {"tempo": 0.95}, "fast, 122-BPM techno of 1999"),
        ("in c minor", {"pitch_semitones": 2}, "in d minor"),
        ("A minor, 90 bpm", {"pitch_semitones": -1}, "G# minor, 90 bpm"),
        ("F# minor and Bb major", {"pitch_semitones": 1}, "G minor and B major"),
        ("E flat major", {"pitch_semitones": -2}, "D flat major"),
        ("A minor key melody", {"pitch_semitones": 2}, "A minor key melody"),
        ("a minor change", {"pitch_semitones": 2}, "a minor change"),
        ("C minor", {"gain_db": -3.0}, "C minor"),
        ("piano", {"mixup": {"ratio": 0.6}}, "piano"),
        ("solo piano, calm, C minor", mixed_with("fast drums, 98 bpm"), "piano, calm, drums"),
        ("piano, no drums", mixed_with("piano, drums, no bass"), "piano, drums"),
    ],
)
def test_captions_stay_true(caption, parameters, updated):
    assert augmented_caption(caption, parameters) == updated
