import shutil

import numpy as np
import pytest
import soundfile

from dmm.embedders import Embedder
from dmm.errors import InputError, ModelError
from dmm.registry import load_embedder, load_text_embedder
from eval.embedders.nano_clap import load_nano_clap
from eval.listening.listener import SHIPPED, Labels, Listener, load_listener, save_listener
from eval.listening.spectrograms import SR, spectrograms_of

LABELS = Labels(
    instruments=("piano", "flute"),
    drums=("no drums", "drums"),
    tempos=("slow", "fast"),
    keys=tuple(f"{tonic} {mode}" for mode in ("major", "minor") for tonic in range(12)),
    styles=("folk",),
    words=("fast", "flute", "piano", "slow"),
)


@pytest.fixture
def weights(tmp_path):
    """A listener with random weights."""
    import torch

    torch.manual_seed(0)
    save_listener(tmp_path / "random.safetensors", Listener(LABELS))
    return tmp_path / "random.safetensors"


def test_rows_have_unit_length_and_do_not_depend_on_the_batch(clips):
    files = sorted(clips.glob("*.flac"))[:3]
    nano = load_embedder("nano-clap")
    rows = nano.embed(files)
    assert isinstance(nano, Embedder)
    assert rows.dtype == np.float32
    assert rows.shape == (3, nano.dim)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)
    assert nano.embed(files[1:2])[0] == pytest.approx(rows[1], abs=1e-4)


def test_sounds_in_memory_are_embedded_as_files_are(clips):
    files = sorted(clips.glob("*.flac"))[:2]
    nano = load_text_embedder("nano-clap")
    sounds = np.stack([soundfile.read(path, dtype="float32")[0] for path in files])
    assert nano.embed_sounds(sounds, 22050) == pytest.approx(nano.embed(files), abs=1e-5)


def test_gain_does_not_change_the_spectrograms(pulses):
    loud, quiet = spectrograms_of(pulses(4)), spectrograms_of(pulses(4) * 0.1)
    assert np.abs(loud.timbre.astype(int) - quiet.timbre).max() <= 1
    assert np.abs(loud.pitch.astype(int) - quiet.pitch).max() <= 1


@pytest.mark.parametrize("n_samples", [1, 300, SR])
def test_silence_has_an_embedding(tmp_path, n_samples):
    soundfile.write(tmp_path / "silence.wav", np.zeros(n_samples), SR)
    row = load_embedder("nano-clap").embed([tmp_path / "silence.wav"])[0]
    assert np.linalg.norm(row) == pytest.approx(1, abs=1e-5)


def test_an_a_lies_in_its_row_of_the_pitch_spectrogram(tone):
    spectrogram = spectrograms_of(tone(440.0)).pitch[0]
    assert spectrogram.mean(1).argmax() == (69 - 28) * 3 + 1


def test_unknown_words_are_ignored():
    nano = load_nano_clap()
    rows = nano.embed_text(["slow piano", "Slow, xylqzz piano!", "fast organ"])
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)
    assert rows[1] == pytest.approx(rows[0], abs=1e-5)
    assert rows[0] @ rows[2] < 0.9


def test_a_caption_without_known_words_is_embedded():
    assert np.isfinite(load_nano_clap().embed_text([""])).all()


def test_the_version_follows_the_weights(weights, tmp_path):
    first = load_embedder("nano-clap", weights)
    other = Listener(LABELS)
    save_listener(tmp_path / "other.safetensors", other)
    assert first.version != load_embedder("nano-clap", tmp_path / "other.safetensors").version
    assert first.identity.weights_sha256 == load_listener(weights)[1]


@pytest.mark.parametrize("keep", [0.5, 1.0], ids=["truncated", "tampered"])
def test_a_damaged_copy_of_the_shipped_file_is_refused(tmp_path, keep):
    shutil.copytree(SHIPPED.parent, tmp_path / "nano-clap")
    copy = tmp_path / "nano-clap" / SHIPPED.name
    content = bytearray(copy.read_bytes())
    content[-1] ^= 1
    copy.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(ModelError, match="damaged or altered"):
        load_embedder("nano-clap", copy)


def test_a_file_without_nano_clap_weights_is_refused(tmp_path):
    from safetensors.numpy import save_file

    save_file({"x": np.zeros(3)}, tmp_path / "lora.safetensors")
    (tmp_path / "noise.safetensors").write_bytes(b"noise")
    for name in ("lora", "noise"):
        with pytest.raises(ModelError, match="not nano-clap weights"):
            load_embedder("nano-clap", tmp_path / f"{name}.safetensors")
    with pytest.raises(ModelError, match="no such file"):
        load_embedder("nano-clap", tmp_path / "missing.safetensors")


def test_a_file_that_cannot_be_read_is_named(tmp_path, weights):
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    with pytest.raises(InputError, match=r"bad\.wav"):
        load_embedder("nano-clap", weights).embed([tmp_path / "bad.wav"])


@pytest.mark.parametrize(
    "choice", [{"protocol": "legacy"}, {"precision": "bf16"}, {"device": "cuda"}], ids=str
)
@pytest.mark.parametrize("name", ["nano-clap", "mel-stats"])
def test_embedders_without_a_choice_refuse_other_settings(name, choice):
    (field, value), *_ = choice.items()
    with pytest.raises(InputError, match=f"--{field} {value}: {name} has no choice of {field}"):
        load_embedder(name, **choice)


def test_a_change_of_the_numbers_needs_a_new_version(tmp_path, tone):
    """Cached rows and published scores name the version: raise it when this fails."""
    soundfile.write(tmp_path / "a.wav", tone(220), 22050, subtype="FLOAT")
    nano = load_nano_clap()
    row = nano.embed([tmp_path / "a.wav"])[0]
    assert nano.identity.code == 1
    assert row[[0, 40, 80, 120]] == pytest.approx([-0.0218, -0.0172, 0.1262, -0.0510], abs=1e-3)
