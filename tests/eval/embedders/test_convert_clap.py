"""A .pt file of a few kB, laid out by hand as laion-clap lays out its own, becomes a folder."""

import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from dmm.errors import ModelError
from dmm.registry import load_embedder
from eval.cli import app
from eval.embedders import clap_checkpoint
from eval.embedders.clap_checkpoint import clap_sizes_of, read_checkpoint
from eval.embedders.convert_clap import (
    LEFT_OUT,
    complete_and_check,
    transformers_config,
    transformers_tensors,
)

WIDTH, DEPTHS, HEADS, JOINT, WORDS, POSITIONS, TEXT, INNER = 8, (1, 2), (1, 2), 16, 30, 80, 8, 12
QKV = "audio_branch.layers.1.blocks.1.attn.qkv.weight"


def linear(name, rows, columns):
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}


def norm(name, width):
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def audio_block(name, width, heads):
    return {
        **norm(f"{name}.norm1", width),
        f"{name}.attn.relative_position_bias_table": (225, heads),
        **linear(f"{name}.attn.qkv", 3 * width, width),
        **linear(f"{name}.attn.proj", width, width),
        **norm(f"{name}.norm2", width),
        **linear(f"{name}.mlp.fc1", 4 * width, width),
        **linear(f"{name}.mlp.fc2", width, 4 * width),
    }


def audio_branch():
    found = {
        **norm("bn0", 64),
        "bn0.running_mean": (64,),
        "bn0.running_var": (64,),
        "patch_embed.proj.weight": (WIDTH, 1, 4, 4),
        "patch_embed.proj.bias": (WIDTH,),
        **norm("patch_embed.norm", WIDTH),
        **linear("layers.0.downsample.reduction", 2 * WIDTH, 4 * WIDTH),
        **norm("layers.0.downsample.norm", 4 * WIDTH),
        **norm("norm", 2 * WIDTH),
        # what only training uses, or makes the spectrogram
        "spectrogram_extractor.stft.conv_real.weight": (513, 1, 1024),
        "logmel_extractor.melW": (513, 64),
        "tscam_conv.weight": (5, 2 * WIDTH, 2, 3),
        **linear("head", 5, 5),
    }
    del found["layers.0.downsample.reduction.bias"]
    for stage, (depth, heads) in enumerate(zip(DEPTHS, HEADS, strict=True)):
        for block in range(depth):
            found |= audio_block(f"layers.{stage}.blocks.{block}", WIDTH * 2**stage, heads)
    return found


def text_branch():
    layer = "encoder.layer.0"
    attention = {
        key: shape
        for part in ("query", "key", "value")
        for key, shape in linear(f"{layer}.attention.self.{part}", TEXT, TEXT).items()
    }
    return attention | {
        "embeddings.word_embeddings.weight": (WORDS, TEXT),
        "embeddings.position_embeddings.weight": (POSITIONS, TEXT),
        "embeddings.token_type_embeddings.weight": (1, TEXT),
        **norm("embeddings.LayerNorm", TEXT),
        **linear(f"{layer}.attention.output.dense", TEXT, TEXT),
        **norm(f"{layer}.attention.output.LayerNorm", TEXT),
        **linear(f"{layer}.intermediate.dense", INNER, TEXT),
        **linear(f"{layer}.output.dense", TEXT, INNER),
        **norm(f"{layer}.output.LayerNorm", TEXT),
        **linear("pooler.dense", TEXT, TEXT),
    }


@pytest.fixture
def tensors():
    """Random weights under laion-clap's names."""
    generator = torch.Generator().manual_seed(0)
    shapes = {"logit_scale_a": (), "logit_scale_t": ()}
    shapes |= {f"audio_branch.{name}": shape for name, shape in audio_branch().items()}
    shapes |= {f"text_branch.{name}": shape for name, shape in text_branch().items()}
    for side, width in (("audio", 2 * WIDTH), ("text", TEXT)):
        shapes |= linear(f"{side}_projection.0", JOINT, width)
        shapes |= linear(f"{side}_projection.2", JOINT, JOINT)
        shapes |= linear(f"{side}_transform.sequential.0", JOINT, JOINT)
    found = {name: torch.rand(shape, generator=generator) + 0.1 for name, shape in shapes.items()}
    index = torch.zeros(64, 64, dtype=torch.long)
    tables = [name for name in found if name.endswith("bias_table")]
    found |= {name.replace("bias_table", "index"): index for name in tables}
    found["audio_branch.bn0.num_batches_tracked"] = torch.tensor(7)
    found["audio_branch.layers.1.blocks.1.attn_mask"] = torch.zeros(4, 64, 64)
    found["text_branch.embeddings.position_ids"] = torch.arange(POSITIONS)[None]
    return found


@pytest.fixture
def known_size(monkeypatch):
    monkeypatch.setitem(clap_checkpoint.NAMES, (WIDTH, DEPTHS), "tiny")


@pytest.fixture
def checkpoint(tensors, tmp_path):
    """A training state as laion-clap saves one: wrapped names, a NumPy number beside them."""
    state = {f"module.{name}": tensor for name, tensor in tensors.items()}
    content = {"epoch": 15, "state_dict": state, "optimizer": {"lr": np.float64(1e-4)}}
    torch.save(content, tmp_path / "clap.pt")
    return tmp_path / "clap.pt"


def convert(*arguments):
    return CliRunner().invoke(app, ["convert-clap", *map(str, arguments)], catch_exceptions=False)


def test_every_tensor_goes_to_one_place_and_every_place_is_filled(tensors):
    made = transformers_tensors(tensors)
    used = [tensor for name, tensor in tensors.items() if not LEFT_OUT.search(name)]
    assert sum(x.numel() for x in made.values()) == sum(x.numel() for x in used)
    assert sum(x.double().sum() for x in made.values()) == pytest.approx(
        float(sum(x.double().sum() for x in used))
    )
    complete_and_check(
        transformers_config(clap_sizes_of(tensors)), made
    )  # names and shapes, both ways


AUDIO, BLOCK = "audio_model.audio_encoder.", "audio_model.audio_encoder.layers.0.blocks.0."


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (f"{AUDIO}batch_norm.running_var", "audio_branch.bn0.running_var"),
        (f"{AUDIO}patch_embed.norm.bias", "audio_branch.patch_embed.norm.bias"),
        (f"{AUDIO}norm.weight", "audio_branch.norm.weight"),
        (f"{BLOCK}layernorm_before.weight", "audio_branch.layers.0.blocks.0.norm1.weight"),
        (f"{BLOCK}layernorm_after.weight", "audio_branch.layers.0.blocks.0.norm2.weight"),
        (f"{BLOCK}intermediate.dense.bias", "audio_branch.layers.0.blocks.0.mlp.fc1.bias"),
        (f"{BLOCK}output.dense.bias", "audio_branch.layers.0.blocks.0.mlp.fc2.bias"),
        (f"{BLOCK}attention.output.dense.bias", "audio_branch.layers.0.blocks.0.attn.proj.bias"),
        ("audio_projection.linear2.bias", "audio_projection.2.bias"),
        ("text_projection.linear1.bias", "text_projection.0.bias"),
        ("text_model.pooler.dense.bias", "text_branch.pooler.dense.bias"),
        ("logit_scale_a", "logit_scale_a"),
    ],
)
def test_tensors_of_one_shape_are_not_confused(tensors, ours, theirs):
    assert (transformers_tensors(tensors)[ours] == tensors[theirs]).all()


def test_query_key_and_value_are_the_thirds_of_one_tensor(tensors):
    made = transformers_tensors(tensors)
    stem = "audio_model.audio_encoder.layers.1.blocks.1.attention.self."
    thirds = torch.cat([made[f"{stem}{part}.weight"] for part in ("query", "key", "value")])
    assert (thirds == tensors[QKV]).all()


def test_left_out_is_only_what_makes_spectrograms_or_is_for_training(tensors):
    stems = {name.split(".")[1] for name in tensors if LEFT_OUT.search(name)} - {"sequential"}
    assert stems == {
        "spectrogram_extractor", "logmel_extractor", "tscam_conv", "head", "layers", "embeddings"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.pop("audio_branch.norm.weight"), "1 tensors are missing"),
        (lambda t: t.update({"audio_branch.more": t["logit_scale_a"]}), "1 tensors are unknown"),
        (lambda t: t.update({"audio_branch.norm.bias": torch.zeros(3)}), r"shape \(3,\), not"),
        (lambda t: t.update({QKV.replace("qkv", "q"): t[QKV]}), "1 tensors are unknown"),
    ],
    ids=["missing", "unknown", "shape", "no-qkv"],
)
def test_what_does_not_fit_is_named(tensors, spoil, message):
    sizes = clap_sizes_of(tensors)
    spoil(tensors)
    with pytest.raises(ModelError, match=message):
        complete_and_check(transformers_config(sizes), transformers_tensors(tensors))


def test_the_folder_is_one_that_clap_loads(checkpoint, known_size, tmp_path):
    result = convert(checkpoint, tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "no tokeniser" in result.stderr
    clap = load_embedder("clap", tmp_path / "out")
    assert clap.dim == JOINT
    assert clap.encoder.model.config.text_config.layer_norm_eps == 1e-5
    mean = clap.encoder.model.state_dict()["audio_model.audio_encoder.batch_norm.running_mean"]
    original = read_checkpoint(checkpoint)["audio_branch.bn0.running_mean"]
    assert (mean == original).all()


def test_a_tokeniser_beside_the_file_comes_along(checkpoint, known_size, tmp_path):
    from tokenizers import ByteLevelBPETokenizer

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    learnt = ByteLevelBPETokenizer()
    learnt.train_from_iterator(["a flute"], vocab_size=262, special_tokens=special)
    (tmp_path / "roberta-base").mkdir()
    learnt.save_model(str(tmp_path / "roberta-base"))
    assert convert(checkpoint, tmp_path / "out").exit_code == 0
    assert (tmp_path / "out" / "tokenizer.json").is_file()


# What is refused


def refused(path, out):
    with pytest.raises(ModelError) as caught:
        convert(path, out)
    assert "\n" not in str(caught.value)
    assert not (out / "config.json").exists()
    return str(caught.value)


class Malicious:
    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_malicious_pickle_is_refused_and_not_run(tensors, tmp_path, zipped):
    path, trace = tmp_path / "evil.pt", tmp_path / "was-run"
    content = {"state_dict": tensors, "more": Malicious(trace)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    assert "could run code" in refused(path, tmp_path / "out")
    assert not trace.exists()
    (tmp_path / "bare.pt").write_bytes(pickle.dumps(Malicious(trace)))
    assert "could run code" in refused(tmp_path / "bare.pt", tmp_path / "out")
    assert not trace.exists()


def test_numbers_pickled_by_an_older_numpy_are_read(checkpoint, tmp_path):
    old = tmp_path / "old.pt"
    with zipfile.ZipFile(checkpoint) as given, zipfile.ZipFile(old, "w") as made:
        for entry in given.infolist():
            content = given.read(entry)
            assert (b"numpy._core.multiarray" in content) == entry.filename.endswith("data.pkl")
            made.writestr(entry, content.replace(b"numpy._core.multi", b"numpy.core.multi"))
    assert read_checkpoint(old).keys() == read_checkpoint(checkpoint).keys()


def test_an_unknown_size_is_one_line(checkpoint, tmp_path):
    message = refused(checkpoint, tmp_path / "out")
    assert "width 8 and depths (1, 2); known: HTSAT-tiny, HTSAT-base, HTSAT-large" in message


def test_a_fusion_checkpoint_is_refused(tensors, tmp_path):
    torch.save(tensors | {clap_checkpoint.FUSION: torch.zeros(1)}, tmp_path / "fusion.pt")
    assert "a fusion checkpoint" in refused(tmp_path / "fusion.pt", tmp_path / "out")


def test_another_text_network_is_refused(tensors, tmp_path):
    audio = {name: tensor for name, tensor in tensors.items() if "text" not in name}
    torch.save(audio, tmp_path / "audio.pt")
    assert "no CLAP with HTSAT and RoBERTa" in refused(tmp_path / "audio.pt", tmp_path / "out")


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 torn", b"words"], ids=["empty", "torn", "no"]
)
def test_a_file_that_is_no_checkpoint_is_one_line(content, tmp_path):
    (tmp_path / "x.pt").write_bytes(content)
    refused(tmp_path / "x.pt", tmp_path / "out")
    torch.save({"weight": torch.zeros(1)}, tmp_path / "lora.pt")
    assert "no checkpoint of laion-clap" in refused(tmp_path / "lora.pt", tmp_path / "out")
    assert "no such file" in refused(tmp_path / "none.pt", tmp_path / "out")


def test_a_folder_with_files_is_left_alone(checkpoint, known_size, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("kept")
    assert "is not empty" in refused(checkpoint, tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine.txt"]
