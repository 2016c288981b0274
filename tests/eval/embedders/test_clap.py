import json
import pickle
import types
from importlib.metadata import version

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from dmm.embedders import EmbedderConfig
from dmm.errors import DmmError, InputError, ModelError
from dmm.registry import load_embedder, load_text_embedder
from dmm.sound.audio import read_audio
from eval.embedders import clap as clap_module
from eval.embedders.clap_folder import projected_rows


def respoil(folder, change):
    """Write the checkpoint's tensors again after ``change(tensors)``."""
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def test_words_have_unit_rows_that_do_not_depend_on_the_batch(reading_clap):
    clap = load_text_embedder("clap", reading_clap)
    rows = clap.embed_text(["a slow song", "flute", "a fast flute song " * 40])
    assert rows.shape == (3, 16) and rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)
    assert clap.embed_text(["flute"])[0] == pytest.approx(rows[1], abs=1e-5)
    assert np.abs(rows[0] - rows[1]).max() > 1e-3


def test_words_beyond_the_77th_are_cut_off(reading_clap):
    clap = load_text_embedder("clap", reading_clap)
    longer, longest = clap.embed_text(["slow " * 77 + "flute", "slow " * 77 + "a fast song"])
    assert longer == pytest.approx(longest, abs=1e-6)


def test_the_scale_of_logits_is_the_checkpoints(reading_clap):
    assert load_text_embedder("clap", reading_clap).logit_scale == pytest.approx(1 / 0.07, rel=1e-4)


def test_words_need_a_tokeniser(tiny_clap):
    with pytest.raises(ModelError, match=r"no tokenizer\.json"):
        load_text_embedder("clap", tiny_clap).embed_text(["flute"])


def test_zero_shot_tells_probabilities(reading_clap):
    from dataset_tools.vocals.zero_shot import load_zero_shot

    windows = np.random.default_rng(0).normal(size=(2, 8000)).astype(np.float32) * 0.1
    found = load_zero_shot(reading_clap).probabilities(windows, 16000)
    assert found.shape == (2,) and ((found > 0) & (found < 1)).all()


def test_sounds_in_memory_are_embedded_as_files_are(tiny_clap, clips):
    files = sorted(clips.glob("*.flac"))[:2]
    clap = load_text_embedder("clap", tiny_clap)
    sounds = np.stack([read_audio(path, 22050, 1)[0] for path in files])
    assert clap.embed_sounds(sounds, 22050) == pytest.approx(clap.embed(files), abs=1e-5)


def test_rows_have_unit_length_and_do_not_depend_on_the_batch(tiny_clap, clips, monkeypatch):
    files = sorted(clips.glob("*.flac"))[:3]
    clap = load_embedder("clap", tiny_clap)
    monkeypatch.setattr(clap_module, "BATCH", 2)
    rows = clap.embed(files)
    assert rows.shape == (3, clap.dim) == (3, 16)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)
    assert clap.embed(files[1:2])[0] == pytest.approx(rows[1], abs=1e-5)


def test_long_sound_is_the_mean_of_its_windows(tiny_clap, rng):
    clap = load_text_embedder("clap", tiny_clap)
    parts = rng.normal(0, 0.1, (2, 480_000))
    own = clap.embed_sounds(parts, 48000).mean(0)
    whole = clap.embed_sounds(parts.reshape(1, -1), 48000)[0]
    assert whole == pytest.approx(own / np.linalg.norm(own), abs=1e-6)


def test_protocols_differ_unless_the_clip_fills_the_window(tiny_clap, rng):
    loop, legacy = (
        load_text_embedder("clap", tiny_clap, protocol=name) for name in ("loop", "legacy")
    )
    half, most = rng.normal(0, 0.1, (1, 240_000)), rng.normal(0, 0.1, (1, 245_760))
    assert loop.embed_sounds(half, 48000) == pytest.approx(legacy.embed_sounds(half, 48000))
    assert np.abs(loop.embed_sounds(most, 48000) - legacy.embed_sounds(most, 48000)).max() > 1e-3


def test_the_legacy_protocol_is_what_the_feature_extractor_does_by_itself(tiny_clap, rng):
    import torch

    clap = load_text_embedder("clap", tiny_clap, protocol="legacy")
    sound = np.round(rng.uniform(-1, 1, 245_760) * 32767).astype(np.float32) / 32767
    features = clap.encoder.extractor(sound, sampling_rate=48000, return_tensors="pt")
    with torch.inference_mode():
        row = projected_rows(clap.encoder.model.get_audio_features(features["input_features"]))
    assert clap.embed_sounds(sound[None], 48000) == pytest.approx(row.numpy(), abs=1e-4)


def test_half_precision_stays_near_full_precision(tiny_clap, rng):
    sounds = rng.normal(0, 0.1, (2, 48_000))
    full, half = (
        load_text_embedder("clap", tiny_clap, precision=name).embed_sounds(sounds, 48000)
        for name in ("fp32", "bf16")
    )
    assert half.dtype == np.float32
    assert 1e-7 < 1 - (full * half).sum(1).min() < 1e-2


@pytest.mark.gpu
def test_a_gpu_and_a_cpu_agree_in_full_precision(reading_clap, rng):
    sounds = rng.normal(0, 0.1, (3, 48_000))
    cpu, gpu = (load_text_embedder("clap", reading_clap, device=name) for name in ("cpu", "cuda"))
    assert gpu.embed_sounds(sounds, 48000) == pytest.approx(
        cpu.embed_sounds(sounds, 48000), abs=1e-4
    )
    assert gpu.embed_text(["flute"]) == pytest.approx(cpu.embed_text(["flute"]), abs=1e-4)


def test_weights_kept_in_half_precision_are_used_in_full(tiny_clap):
    import torch

    tensors = load_file(tiny_clap / "model.safetensors")
    halves = {k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}
    save_file(halves, tiny_clap / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((tiny_clap / "config.json").read_text())
    (tiny_clap / "config.json").write_text(json.dumps(config | {"dtype": "float16"}))
    clap = load_embedder("clap", tiny_clap)
    assert {p.dtype for p in clap.encoder.model.parameters()} == {torch.float32}


def test_the_version_follows_weights_protocol_and_precision(tiny_clap):
    versions = {load_embedder("clap", tiny_clap).version}
    versions.add(load_embedder("clap", tiny_clap, protocol="legacy").version)
    versions.add(load_embedder("clap", tiny_clap, precision="bf16").version)
    respoil(tiny_clap, lambda tensors: tensors["logit_scale_a"].add_(1))
    versions.add(load_embedder("clap", tiny_clap).version)
    assert len(versions) == 4


def test_a_change_of_the_numbers_needs_a_new_version(tiny_clap):
    """Cached rows and published scores name the version: raise CODE_VERSION when this fails."""
    clap = load_text_embedder("clap", tiny_clap)
    row = clap.embed_sounds(np.sin(np.arange(48_000)[None] * 0.05) * 0.5, 48000)[0]
    assert clap.identity.code == 2
    assert row[[0, 5, 10, 15]] == pytest.approx([-0.0275, 0.2768, -0.1552, 0.0733], abs=1e-3)


def test_the_identity_names_weights_packages_and_the_way(tiny_clap):
    import transformers

    from dmm.files import sha256_file

    identity = load_embedder("clap", tiny_clap, precision="bf16").identity
    assert identity.weights_sha256 == sha256_file(tiny_clap / "model.safetensors")
    assert identity.backend == f"transformers {transformers.__version__}, torch {version('torch')}"
    assert (identity.name, identity.protocol, identity.precision) == ("clap", "loop", "bf16")


def test_no_random_state_is_touched(tiny_clap, rng):
    import torch

    before = torch.random.get_rng_state(), np.random.get_state()[1].tolist()
    load_text_embedder("clap", tiny_clap).embed_sounds(rng.normal(0, 0.1, (1, 600_000)), 48000)
    assert (torch.random.get_rng_state() == before[0]).all()
    assert np.random.get_state()[1].tolist() == before[1]


def test_pickled_it_is_its_recipe_and_refuses_other_weights_elsewhere(tiny_clap, clips):
    files = sorted(clips.glob("*.flac"))[:1]
    clap = load_embedder("clap", tiny_clap, protocol="legacy")
    sent = pickle.dumps(clap)
    assert len(sent) < 1000
    assert (pickle.loads(sent).embed(files) == clap.embed(files)).all()
    respoil(tiny_clap, lambda tensors: tensors["logit_scale_a"].add_(1))
    with pytest.raises(ModelError, match="other weights on a worker"):
        pickle.loads(sent)


def test_vectors_of_either_transformers_are_found():
    import torch

    rows = torch.ones(1, 2)
    assert projected_rows(rows) is rows  # 4.57
    assert projected_rows(types.SimpleNamespace(pooler_output=rows)) is rows  # 5


# What is refused


def test_another_feature_extractor_is_refused(tiny_clap):
    path = tiny_clap / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"frequency_min": 0}))
    with pytest.raises(ModelError, match="frequency_min is 0; only 50"):
        load_embedder("clap", tiny_clap)
    path.write_text("{")
    with pytest.raises(ModelError, match="not valid JSON"):
        load_embedder("clap", tiny_clap)
    path.unlink()
    with pytest.raises(ModelError, match=r"preprocessor_config\.json: missing"):
        load_embedder("clap", tiny_clap)


LAYER = "audio_model.audio_encoder.layers.0.blocks.0.intermediate.dense."


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop(LAYER + "weight"), rf"1 tensors missing \(first {LAYER}weight"),
        (lambda t: t.update({LAYER + "bias": t[LAYER + "bias"][:4]}), "1 tensors of another shape"),
        (lambda t: t.update({"text_model.more": t[LAYER + "bias"] + 1}), "1 tensors unknown"),
    ],
    ids=["missing", "another-size", "unknown"],
)
def test_weights_that_do_not_fit_their_configuration_are_refused(tiny_clap, change, message):
    respoil(tiny_clap, change)
    with pytest.raises(ModelError, match=message):
        load_embedder("clap", tiny_clap)


def test_a_truncated_file_is_refused_in_one_line(tiny_clap):
    path = tiny_clap / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"cannot be loaded \(.*copy or convert it again$"):
        load_embedder("clap", tiny_clap)


def test_a_folder_without_a_checkpoint_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"no CLAP checkpoint.*convert-clap"):
        load_embedder("clap", tmp_path)


@pytest.mark.parametrize("way", [{"protocol": "pad"}, {"precision": "fp8"}], ids=str)
def test_an_unknown_way_names_the_known_ones(way):
    with pytest.raises(InputError, match=r"known: (loop, legacy|fp32, bf16)"):
        EmbedderConfig(**way)


def test_a_device_that_is_not_there_is_one_line(tiny_clap):
    import torch

    if torch.cuda.is_available():
        pytest.skip("has a GPU")
    with pytest.raises(DmmError, match="no GPU found"):
        load_embedder("clap", tiny_clap, device="cuda")
