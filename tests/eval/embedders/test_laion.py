import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from dmm.errors import InputError, ModelError
from dmm.registry import load_embedder, load_text_embedder
from eval.embedders import laion
from eval.embedders.clap_checkpoint import ClapSizes
from eval.embedders.convert_clap import convert_clap
from eval.embedders.roberta import find_and_load_tokenizer

SIZES = ClapSizes(96, (2, 2, 6, 2), (4, 8, 16, 32), 512, 300, 90, 768, 1, 64)
"""HTSAT-tiny, the smallest audio network there is, beside a RoBERTa of one small layer."""
needs_package = pytest.mark.skipif(
    find_spec("laion_clap") is None,
    reason="laion-clap is not there: uv sync --inexact --extra laion",
)


def learnt_tokenizer(folder):
    from tokenizers import ByteLevelBPETokenizer

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    learnt = ByteLevelBPETokenizer()
    learnt.train_from_iterator(["slow piano and flute"] * 9, vocab_size=300, special_tokens=special)
    learnt.save_model(str(folder))


@pytest.fixture
def released(tmp_path):
    """A checkpoint as the released ones are, with random weights and a tokeniser beside it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = laion.build_laion_clap(SIZES).model
        for name, parameter in model.named_parameters():
            if name.startswith("text_branch"):  # made without values
                torch.nn.init.normal_(parameter, 1.0 if "Norm.weight" in name else 0.0, 0.05)
        model.audio_branch.bn0.running_mean.normal_(-40, 5)
        model.audio_branch.bn0.running_var.uniform_(100, 300)
    state = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    state["module.text_branch.embeddings.position_ids"] = torch.arange(90)[None]
    torch.save({"state_dict": state, "optimizer": {"lr": np.float64(1)}}, tmp_path / "clap.pt")
    learnt_tokenizer(tmp_path)
    return tmp_path / "clap.pt"


@needs_package
@pytest.mark.filterwarnings("ignore")  # theirs to mend
def test_the_package_and_transformers_agree_to_1e6_without_network(
    released, tmp_path, rng, no_network
):
    path, random = list(sys.path), torch.random.get_rng_state()
    convert_clap(released, tmp_path / "folder")
    sounds = rng.normal(0, 0.1, (2, 245_760)) + np.sin(np.arange(245_760) * 0.05)
    long, words = rng.normal(0, 0.1, (1, 700_000)), ["slow piano", "flute", "", "and " * 100]
    for protocol in ("loop", "legacy"):
        theirs = load_text_embedder("laion-clap", released, protocol)
        ours = load_text_embedder("clap", tmp_path / "folder", protocol)
        for sound in (sounds, long):
            expected = theirs.embed_sounds(sound, 48000)
            assert ours.embed_sounds(sound, 48000) == pytest.approx(expected, abs=1e-6)
        assert ours.embed_text(words) == pytest.approx(theirs.embed_text(words), abs=1e-6)
        assert theirs.logit_scale == pytest.approx(ours.logit_scale)
    assert sys.path == path
    assert (torch.random.get_rng_state() == random).all()


@needs_package
@pytest.mark.filterwarnings("ignore")
def test_a_checkpoint_that_lacks_a_tensor_is_refused(released):
    raw = torch.load(released, weights_only=False)
    del raw["state_dict"]["module.audio_branch.norm.bias"]
    torch.save(raw, released)
    with pytest.raises(ModelError, match=r"does not fit.*audio_branch\.norm\.bias"):
        load_embedder("laion-clap", released)


def test_a_missing_package_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setattr(laion, "find_spec", lambda name: None)
    with pytest.raises(
        ModelError, match=r"uv sync --inexact --extra laion, or convert.*--embedder clap$"
    ):
        load_embedder("laion-clap", tmp_path / "clap.pt")


def test_it_needs_a_file_and_full_precision(tmp_path):
    with pytest.raises(InputError, match=r"name one with --weights \(music_audioset"):
        load_embedder("laion-clap")
    with pytest.raises(InputError, match=r"--precision bf16: .* needs fp32"):
        load_embedder("laion-clap", tmp_path / "clap.pt", precision="bf16")


def test_the_tokeniser_is_found_beside_the_checkpoint_or_below_it(tmp_path, no_network):
    with pytest.raises(ModelError, match=r"no RoBERTa tokeniser.*hf download roberta-base"):
        find_and_load_tokenizer(tmp_path)
    (tmp_path / "roberta-base").mkdir()
    learnt_tokenizer(tmp_path / "roberta-base")
    ids = find_and_load_tokenizer(tmp_path)("piano")["input_ids"]
    assert (ids[0], ids[-1]) == (0, 2)  # as CLAP was trained: <s> ... </s>
