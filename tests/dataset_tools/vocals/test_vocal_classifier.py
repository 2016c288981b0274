"""Vocal classifiers: the contract, the shipped file, and errors for files that do not fit."""

import dataclasses

import numpy as np
import pytest

from dataset_tools.sources.minimidi import compose, render
from dataset_tools.sources.minimidi.singers import random_voice
from dataset_tools.sources.minimidi.singing import sing
from dataset_tools.vocals.classifier import SHIPPED, load_classifier
from dmm.errors import InputError, ModelError
from dmm.model_cards import card_hashes, sha256_of

onnx = pytest.importorskip("onnx")
SR = 16_000


def write(path, *, shape=("n", "samples"), dtype=1, rate="16000", op="ReduceMean"):
    """An ONNX file of one operation: the mean of every waveform."""
    sound = onnx.helper.make_tensor_value_info("sound", dtype, shape)
    heard = onnx.helper.make_tensor_value_info("heard", dtype, shape[:1])
    node = onnx.helper.make_node(op, ["sound"], ["heard"], axes=[1], keepdims=0)
    graph = onnx.helper.make_graph([node], "mean", [sound], [heard])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)])
    model.ir_version = 8
    if rate is not None:
        onnx.helper.set_model_props(model, {"sample_rate": rate})
    path.write_bytes(model.SerializeToString())
    return str(path)


@pytest.fixture
def mean(tmp_path):
    """A classifier whose probability is the mean of a frame of 1 s."""
    return load_classifier(write(tmp_path / "mean.onnx", shape=("n", SR)))


def test_none_is_no_classifier():
    assert load_classifier("none") is None


def test_an_unknown_classifier_lists_the_known_ones():
    with pytest.raises(InputError, match=r"no vocal classifier 'best'; known: nano .*FILE.onnx"):
        load_classifier("best")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone.onnx: no such file; .*clap:FOLDER"):
        load_classifier(str(tmp_path / "gone.onnx"))


def test_a_file_that_is_no_onnx_model_is_refused_in_one_line(tmp_path):
    path = tmp_path / "text.onnx"
    path.write_text("not a model")
    with pytest.raises(ModelError, match=r"text.onnx: no ONNX model that runs here") as caught:
        load_classifier(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"shape": ("n", 1, "samples")}, "one float32 waveform"),
        ({"dtype": 11}, r"takes tensor\(double\)"),
        ({"rate": None}, "gives sample_rate ''; add it in Hz"),
        ({"rate": "fast"}, "gives sample_rate 'fast'"),
        ({"shape": (4, "samples")}, "batches of 4 alone"),
    ],
)
def test_models_of_another_kind_are_refused(tmp_path, wrong, said):
    with pytest.raises(ModelError, match=said):
        load_classifier(write(tmp_path / "other.onnx", **wrong))


def test_windows_pool_their_two_most_vocal_frames(mean):
    steps = np.repeat(np.float32([[0.1, 0.9, 0.3, 0.2, 0.5]]), SR, axis=1)
    assert mean.probabilities(steps, SR) == pytest.approx([0.7], abs=1e-5)
    assert mean.probabilities(steps[:, :SR], SR) == pytest.approx([0.1], abs=1e-5)


def test_windows_are_resampled_to_the_models_rate(mean):
    sound = np.full((2, 66_150), 0.25, np.float32)
    assert mean.probabilities(sound, 44_100) == pytest.approx([0.25, 0.25], abs=5e-3)


def test_a_window_is_judged_alone(mean, rng):
    windows = rng.random((40, 2 * SR)).astype(np.float32)
    alone = [mean.probabilities(window[None], SR)[0] for window in windows]
    assert mean.probabilities(windows, SR) == pytest.approx(alone, abs=1e-6)


def test_short_windows_are_refused_and_none_is_no_error(mean):
    with pytest.raises(ValueError, match=r"windows of 0.50 s; 1 s or more"):
        mean.probabilities(np.zeros((1, SR // 2), np.float32), SR)
    assert mean.probabilities(np.zeros((0, SR), np.float32), SR).shape == (0,)


def test_the_version_is_the_files_hash(tmp_path):
    path = tmp_path / "mean.onnx"
    classifier = load_classifier(write(path))
    assert classifier.version == sha256_of(path)[:12]
    assert classifier.name == "mean.onnx"


def test_the_shipped_model_is_small_and_as_its_card_says():
    assert card_hashes(SHIPPED.parent)[SHIPPED.name] == sha256_of(SHIPPED)
    assert SHIPPED.stat().st_size < 1_000_000


def test_the_shipped_model_tells_a_singer_from_the_same_music_without():
    nano = load_classifier("nano")
    music, sung = [], []
    for seed in (31, 32, 33, 34, 35, 36):
        piece = compose(seed)
        voice = dataclasses.replace(random_voice(seed, "male vocals"), wordless=False, gain_db=6.0)
        played = render(piece, 22_050).mean(0)
        music.append(played)
        sung.append(played + sing(piece, 22_050, seed, voice).mean(0))
    heard = [nano.probabilities(np.array(windows), 22_050) for windows in (sung, music)]
    assert (heard[0] > heard[1]).mean() > 0.8
    assert heard[0].mean() > 0.6 > 0.4 > heard[1].mean()


def test_silence_is_not_vocal():
    assert load_classifier("nano").probabilities(np.zeros((1, 5 * SR), np.float32), SR)[0] < 0.5
