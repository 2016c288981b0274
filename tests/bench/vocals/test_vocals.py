import numpy as np
import pytest
import torch

from bench.vocals.data import labelled_waveforms, log_mel_levels
from bench.vocals.distractors import random_distractor
from bench.vocals.net import SAMPLES, SR, LogMel, VocalNet, WaveToProbability, export_onnx
from bench.vocals.train import augment_levels, fit_calibration, train_and_export
from dataset_tools.sources.minimidi import compose
from dataset_tools.vocals.classifier import load_classifier

PIECES = 1


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A classifier after one step on one piece."""
    return train_and_export(tmp_path_factory.mktemp("train") / "tiny.onnx", PIECES, 1, 0)


def test_a_trained_file_keeps_the_classifiers_contract(trained, rng):
    found = load_classifier(str(trained)).probabilities(rng.normal(size=(3, 5 * SR)), SR)
    assert found.shape == (3,) and ((found > 0) & (found < 1)).all()
    assert trained.stat().st_size < 1_000_000


def test_training_again_writes_the_same_bytes(trained):
    before = trained.read_bytes()
    (trained.parent / "tiny.state" / "net.pt").unlink()
    assert train_and_export(trained, PIECES, 1, 0).read_bytes() == before


def test_the_exported_file_gives_the_networks_probabilities(tmp_path, rng):
    torch.manual_seed(0)
    model = WaveToProbability(VocalNet(), 2.0, -0.3).eval()
    path = tmp_path / "net.onnx"
    export_onnx(model, path)
    waves = rng.normal(size=(2, SAMPLES)).astype(np.float32) * 0.1
    with torch.no_grad():
        expected = model(torch.from_numpy(waves)).numpy()
    assert load_classifier(str(path)).probabilities(waves, SR) == pytest.approx(expected, abs=1e-4)


def test_both_log_mel_implementations_agree_and_gain_does_not_matter():
    waves = torch.randn(2, SAMPLES, generator=torch.Generator().manual_seed(1)) * 0.1
    front = LogMel()
    assert front(waves).shape == (2, 64, 100)
    assert torch.allclose(front(waves), front.forward_by_fft(waves), atol=1e-5)
    assert torch.allclose(front(waves), front(0.5 * waves), atol=1e-4)
    assert not front(torch.zeros(1, SAMPLES)).any()


def test_a_tone_is_loudest_in_its_own_band():
    hz = 1000.0
    wave = torch.sin(2 * torch.pi * hz * torch.arange(SAMPLES) / SR)[None]
    edges = np.linspace(*(2595 * np.log10(1 + np.array([60.0, 7600.0]) / 700)), 66)
    centres = 700 * (10 ** (edges[1:-1] / 2595) - 1)
    assert LogMel()(wave)[0, :, 50].argmax() == np.abs(centres - hz).argmin()


def test_windows_come_with_labels_of_both_kinds():
    labels = np.concatenate([labelled_waveforms(seed)[1] for seed in range(2)])
    waves, vocal = labelled_waveforms(1)
    assert waves.shape == (len(vocal), SAMPLES) and np.isfinite(waves).all()
    assert labels.any() and not labels.all()
    assert log_mel_levels(waves).shape == (len(vocal), 64, 100)


def test_distractors_sound_and_belong_to_their_seed():
    piece = compose(4)
    for seed in range(8):
        first, again = (random_distractor(piece, SR, np.random.default_rng(seed)) for _ in range(2))
        assert np.sqrt(np.square(first).mean()) == pytest.approx(1, abs=1e-3)
        assert first.tobytes() == again.tobytes()


def test_augmented_spectrograms_stay_in_range():
    levels = augment_levels(torch.rand(4, 64, 100), torch.Generator().manual_seed(3))
    assert levels.min() >= 0
    assert levels.amax((1, 2)).tolist() == pytest.approx([1] * 4)


def test_calibration_finds_scale_and_shift(rng):
    logits = rng.normal(size=20_000) * 2
    vocal = rng.random(20_000) < 1 / (1 + np.exp(-(0.5 * logits - 1)))
    assert fit_calibration(logits, vocal) == pytest.approx((0.5, -1), abs=0.06)
