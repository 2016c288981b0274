import json

import numpy as np
import pytest

from dmm.audio import read_audio
from dmm.embedders import load_embedder, load_text_embedder
from dmm.errors import InputError, ModelError
from eval.clap import WINDOW_SAMPLES, clap_windows

TINY_AUDIO = {
    "hidden_size": 16,
    "patch_embeds_hidden_size": 8,
    "depths": [1, 1],
    "num_attention_heads": [1, 2],
    "num_hidden_layers": 2,
    "num_mel_bins": 64,
    "spec_size": 256,
    "window_size": 8,
    "enable_fusion": False,
}
TINY_TEXT = {
    "vocab_size": 30,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "intermediate_size": 8,
    "max_position_embeddings": 20,
}


@pytest.fixture
def weights(tmp_path):
    """A checkpoint folder as save_pretrained writes it, with random weights."""
    import torch
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel

    torch.manual_seed(0)
    config = ClapConfig(text_config=TINY_TEXT, audio_config=TINY_AUDIO, projection_dim=16)
    ClapModel(config).save_pretrained(tmp_path / "clap")
    ClapFeatureExtractor(frequency_min=50, truncation="rand_trunc").save_pretrained(
        tmp_path / "clap"
    )
    return tmp_path / "clap"


@pytest.fixture
def reading(weights):
    """The same folder with a tokeniser of seven words, split at spaces."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "<unk>", "a", "flute", "song", "slow", "fast"]
    model = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    model.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=model, pad_token="<pad>", unk_token="<unk>", model_max_length=10
    ).save_pretrained(weights)
    return weights


def test_words_have_unit_rows_that_do_not_depend_on_the_batch(reading):
    clap = load_text_embedder("clap", reading)
    rows = clap.embed_text(["a slow song", "flute", "a fast flute song " * 20])
    assert rows.shape == (3, 16) and rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)
    assert clap.embed_text(["flute"])[0] == pytest.approx(rows[1], abs=1e-5)
    assert np.abs(rows[0] - rows[1]).max() > 1e-3


def test_the_scale_of_logits_is_the_checkpoints(reading):
    assert load_text_embedder("clap", reading).logit_scale == pytest.approx(1 / 0.07, rel=1e-4)


def test_words_need_a_tokeniser(weights):
    with pytest.raises(ModelError, match=r"no tokenizer\.json"):
        load_text_embedder("clap", weights).embed_text(["flute"])


def test_zero_shot_tells_probabilities(reading):
    from dataset_tools.vocals.zero_shot import load_zero_shot

    windows = np.random.default_rng(0).normal(size=(2, 8000)).astype(np.float32) * 0.1
    found = load_zero_shot(reading).probabilities(windows, 16000)
    assert found.shape == (2,) and ((found > 0) & (found < 1)).all()


def test_sounds_in_memory_are_embedded_as_files_are(weights, clips):
    files = sorted(clips.glob("*.flac"))[:2]
    clap = load_text_embedder("clap", weights)
    sounds = np.stack([read_audio(path, 22050, 1)[0] for path in files])
    assert clap.embed_sounds(sounds, 22050) == pytest.approx(clap.embed(files), abs=1e-5)


def test_rows_have_unit_length_and_do_not_depend_on_the_batch(weights, clips):
    files = sorted(clips.glob("*.flac"))[:3]
    clap = load_embedder("clap", weights)
    rows = clap.embed(files)
    assert rows.shape == (3, clap.dim) == (3, 16)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)
    assert clap.embed(files[1:2])[0] == pytest.approx(rows[1], abs=1e-5)


def test_the_version_follows_the_weights(weights):
    from safetensors.torch import load_file, save_file

    before = load_embedder("clap", weights).version
    tensors = load_file(weights / "model.safetensors")
    tensors["logit_scale_a"] = tensors["logit_scale_a"] + 1
    save_file(tensors, weights / "model.safetensors", metadata={"format": "pt"})
    assert load_embedder("clap", weights).version != before


def test_another_feature_extractor_is_refused(weights):
    path = weights / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"frequency_min": 0}))
    with pytest.raises(ModelError, match="frequency_min is 0; only 50"):
        load_embedder("clap", weights)


def test_a_checkpoint_with_missing_tensors_is_refused(weights):
    from safetensors.torch import load_file, save_file

    tensors = load_file(weights / "model.safetensors")
    del tensors["audio_projection.linear1.weight"]
    save_file(tensors, weights / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="1 tensors missing"):
        load_embedder("clap", weights)


def test_no_weights_is_an_error_with_a_remedy(tmp_path):
    with pytest.raises(InputError, match="--weights DIR"):
        load_embedder("clap")
    with pytest.raises(ModelError, match=r"no CLAP checkpoint"):
        load_embedder("clap", tmp_path)


def test_short_sound_is_looped_without_silence():
    audio = np.linspace(0.1, 0.9, 245_760, dtype=np.float32)
    window = clap_windows(audio)[0]
    assert len(window) == WINDOW_SAMPLES
    assert (window[245_760:] == window[: WINDOW_SAMPLES - 245_760]).all()


def test_long_sound_is_covered_by_even_windows_to_its_end():
    audio = np.linspace(-0.9, 0.9, 25 * 48000, dtype=np.float32)
    windows = clap_windows(audio)
    assert windows.shape == (3, WINDOW_SAMPLES)
    assert windows[-1, -1] == pytest.approx(audio[-1], abs=1e-4)
