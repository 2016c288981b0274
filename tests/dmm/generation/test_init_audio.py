import numpy as np
import pytest

from dmm.checkpoints.pipeline import load_pipeline
from dmm.codec.mel import encode, load_format
from dmm.errors import InputError, PresetError
from dmm.generation.init_audio import parse_span, read_init_audio
from dmm.generation.mel_images import generate_images, generate_latents
from dmm.generation.requests import ClipRequest
from dmm.generation.sampling import Sampling
from dmm.generation.settings import GenerationSettings
from dmm.sound.audio import write_audio

SMALL = load_format("nano").model_copy(update={"n_frames": 64})
SR = SMALL.sr


@pytest.fixture
def song(tmp_path, rng):
    """Three seconds of two tones and some noise."""
    t = np.arange(3 * SR) / SR
    sound = 0.3 * np.sin(2 * np.pi * 440 * t) + 0.2 * np.sin(2 * np.pi * (300 + 200 * t) * t)
    audio = (sound + 0.01 * rng.normal(size=len(t))).astype(np.float32)[None]
    write_audio(tmp_path / "song.wav", audio, SR)
    return tmp_path / "song.wav", audio


def test_the_image_is_that_of_the_audio_at_its_start(song):
    path, audio = song
    init = read_init_audio(path, SMALL, stereo=False, strength=0.5, start_s=1.0)
    expected = encode(audio[:, SR : SR + SMALL.clip_samples], SMALL)
    assert np.abs(init.levels.astype(int) - expected).mean() < 0.1  # the file has 16 bits


def test_stereo_keeps_colours_and_a_short_end_is_silence(song):
    init = read_init_audio(song[0], SMALL, stereo=True, strength=0.5, start_s=2.5)
    assert init.levels.shape == (256, 64, 3)
    assert init.levels[:, :20, 0].mean() > 20 > init.levels[:, -20:, 0].max()


@pytest.mark.parametrize("sampler", ["euler", "heun", "dpm++-2m-karras", "ddim"])
def test_outside_the_span_the_audios_own_columns_stay(tiny_checkpoint, song, sampler):
    init = read_init_audio(song[0], SMALL, False, 1.0, (0.3, 0.8))
    settings = GenerationSettings(SMALL, Sampling(sampler, steps=3), init=init)
    (levels,) = generate_images(load_pipeline(tiny_checkpoint), [ClipRequest("organ", 1)], settings)
    first, end = init.span or (0, 0)
    assert (first, end) == (15, 40)
    assert (levels[:, :first] == init.levels[:, :first]).all()
    assert (levels[:, end:] == init.levels[:, end:]).all()
    assert (levels[:, first:end] != init.levels[:, first:end]).mean() > 0.5


def test_the_span_fades_in_and_out(song):
    init = read_init_audio(song[0], SMALL, False, 1.0, (0.3, 0.8))
    generated = np.full_like(init.levels, 255)
    shares = (init.restore_outside_span(generated) - init.levels.astype(float)) / (
        255 - init.levels
    )
    assert init.fade == 2  # 40 ms of 20 ms columns
    assert shares[:, 14:18].mean(0) == pytest.approx([0, 0.25, 0.75, 1], abs=0.02)
    assert shares[:, 37:41].mean(0) == pytest.approx([1, 0.75, 0.25, 0], abs=0.02)


def test_less_strength_stays_nearer_to_the_sound(tiny_checkpoint, song):
    pipeline, distances = load_pipeline(tiny_checkpoint), []
    for strength in (0.1, 0.5, 1.0):
        init = read_init_audio(song[0], SMALL, False, strength)
        own = init.encode_latents(pipeline)
        settings = GenerationSettings(SMALL, Sampling("euler", steps=10, guidance=1.0), init=init)
        distances.append(
            float((generate_latents(pipeline, [ClipRequest("x", 1)], settings) - own).norm())
        )
    assert distances[0] < distances[1] < distances[2]


@pytest.mark.parametrize("text", ["1", "a-b", "1-2-3", "", "nan-3", "1-inf"])
def test_an_invalid_span_is_an_error(text):
    with pytest.raises(PresetError, match="START-END"):
        parse_span(text)


def test_spans_and_strengths_out_of_range_are_errors(song):
    for mask in ((0.5, 0.5), (1.0, 0.5), (0.0, 9.0)):
        with pytest.raises(PresetError, match=r"0-1\.28"):
            read_init_audio(song[0], SMALL, False, 1.0, mask)
    for strength in (0.0, 1.1):
        with pytest.raises(PresetError, match="up to 1"):
            read_init_audio(song[0], SMALL, False, strength)


def test_a_start_after_the_end_and_silence_are_errors(song, tmp_path):
    with pytest.raises(InputError, match=r"ends after 3\.00 s"):
        read_init_audio(song[0], SMALL, False, 0.5, start_s=4.0)
    write_audio(tmp_path / "still.wav", np.zeros((1, SR), np.float32), SR)
    with pytest.raises(InputError, match="silent"):
        read_init_audio(tmp_path / "still.wav", SMALL, False, 0.5)
