import tracemalloc

import numpy as np
import pytest

import dmm.codec.decode
from dmm.codec import decode_torch
from dmm.codec.decode import decode, stream_decode
from dmm.codec.framing import stream_stft
from dmm.codec.mel import encode, from_level, load_format, mel_magnitude, stft
from dmm.codec.phase import retrieve_phase

NANO = load_format("nano")
SMALL = NANO.model_copy(
    update={"hop_length": 128, "win_length": 512, "n_fft": 768, "n_mels": 192, "fmax": 8000.0}
)


def music(n_hops, fmt, notes=12, seed=0):
    """Decaying chords that begin every seventh of the sound, periodic in its length."""
    rng, n = np.random.default_rng(seed), n_hops * fmt.hop_length
    t = np.arange(n) / fmt.sr
    sound = np.zeros(n)
    for note in range(notes):
        tone = np.sin(2 * np.pi * rng.uniform(100, 3000) * t) * np.exp(-t * rng.uniform(3, 9))
        sound += np.roll(tone, int((note % 7 + 0.5) * n // 7))
    return (0.5 * sound / np.abs(sound).max())[None]


def frame_errors(original, restored, fmt):
    x, y = (np.abs(stft(z, fmt)) for z in (original, restored))
    return np.linalg.norm(x - y, axis=1) / np.linalg.norm(x, axis=1).mean()


def test_chunks_give_as_good_a_sound_as_one_and_no_worse_joins(monkeypatch):
    original = music(1024, SMALL)
    image = encode(original, SMALL)
    monkeypatch.setattr(dmm.codec.decode, "CHUNK", 1024)
    whole = frame_errors(original[0], decode(image, SMALL)[0], SMALL)
    monkeypatch.setattr(dmm.codec.decode, "CHUNK", 64)
    chunks = frame_errors(original[0], decode(image, SMALL)[0], SMALL)
    assert chunks.mean() < whole.mean() + 0.005
    joins = np.arange(64, 1024, 64)[:, None] + np.arange(-2, 2)
    assert chunks[joins].mean() < 1.1 * whole[joins].mean()


def test_how_frames_are_divided_does_not_matter(rng):
    magnitude = np.abs(stft(music(150, SMALL)[0], SMALL))
    start = np.exp(2j * np.pi * rng.random(magnitude.shape)).astype(np.complex64)
    sounds = [
        np.concatenate(list(retrieve_phase(blocks, SMALL, 8)))
        for blocks in (
            [(magnitude, start)],
            [(magnitude[t : t + 7], start[t : t + 7]) for t in range(0, 150, 7)],
        )
    ]
    assert len(sounds[0]) == 150 * SMALL.hop_length
    np.testing.assert_allclose(sounds[0], sounds[1], atol=1e-4)


@pytest.mark.parametrize("stereo", [False, True])
def test_a_loop_has_no_seam(stereo):
    sound = music(200, SMALL)
    if stereo:
        sound = np.concatenate([sound, 0.5 * music(200, SMALL, seed=1)])
    image = encode(np.tile(sound, 3), SMALL)[:, 200:400]
    left = sound[:1] if stereo else sound
    errors = [
        frame_errors(np.tile(left[0], 3), np.tile(np.concatenate(blocks, axis=1)[0], 3), SMALL)
        for blocks in (
            list(stream_decode(image, SMALL, loop=True)),
            list(stream_decode(image, SMALL)),
        )
    ]
    at_seam, elsewhere = (errors[0][rows] for rows in (slice(197, 203), slice(210, 390)))
    assert at_seam.mean() < 1.2 * elsewhere.mean() < errors[1][197:203].mean()


@pytest.mark.parametrize("n_hops", [1, 2, 3, 40])
def test_a_loop_of_few_frames_has_its_length(n_hops):
    image = encode(music(n_hops, SMALL), SMALL)
    blocks = list(stream_decode(image, SMALL, "fast", loop=True))
    assert sum(block.shape[1] for block in blocks) == n_hops * SMALL.hop_length


def test_memory_does_not_grow_with_the_width():
    image = encode(np.tile(music(600, SMALL), 6), SMALL)
    peaks = []
    for width in (1200, 3600):
        tracemalloc.start()
        for _ in stream_decode(image[:, :width], SMALL, "fast"):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


@pytest.mark.parametrize("kind", ["mono", "mid-side", "left-right"])
def test_on_a_gpu_chunks_fit_to_the_sample(kind, monkeypatch):
    fmt = SMALL if kind == "mono" else SMALL.model_copy(update={"stereo": kind})
    sound = music(460, fmt)
    if kind != "mono":
        sound = np.concatenate([sound, 0.5 * music(460, fmt, seed=1)])
    image = encode(sound, fmt)
    monkeypatch.setattr(decode_torch, "BATCH_STEPS", decode_torch.STREAM_STEPS)
    whole = decode_torch.decode_batch(image[None], fmt, "fast", "cpu")[0]
    monkeypatch.setattr(decode_torch, "CHUNK", 200)
    chunks = list(decode_torch.stream_decode(image, fmt, "fast", "cpu"))
    assert len(chunks) == 3
    np.testing.assert_allclose(np.concatenate(chunks, axis=1), whole, atol=1e-3)


def test_frames_of_sound_in_pieces_are_those_of_the_whole(rng):
    sound = rng.normal(size=100 * SMALL.hop_length).astype(np.float32)
    pieces = np.split(sound, [5, 3000, 3001, 9000])
    np.testing.assert_allclose(
        np.concatenate(list(stream_stft(pieces, SMALL))), stft(sound, SMALL), atol=1e-5
    )


def test_the_picture_of_a_decoded_picture_is_close_to_it():
    image = encode(music(300, SMALL), SMALL)
    again = mel_magnitude(decode(image, SMALL)[0], SMALL)
    wanted = from_level(image[::-1], SMALL)
    assert np.linalg.norm(again - wanted) < 0.1 * np.linalg.norm(wanted)
