import gc
import json
import weakref

import pytest
import torch
from safetensors.torch import load_file, save_file

from dmm.checkpoints.header import read_header, read_metadata
from dmm.checkpoints.pipeline import load_pipeline
from dmm.checkpoints.tensorfile import TensorFile
from dmm.errors import InputError, ModelError, PresetError
from dmm.fusing.diffusers_folder import write_diffusers_folder
from dmm.fusing.fuse import fuse
from dmm.generation.loading import Lora
from dmm.model_cards import sha256_of

PARTS = ("unet", "text_encoder", "text_encoder_2", "vae")
QUERY = "lora_te2_text_model_encoder_layers_0_self_attn_q_proj"
TE2 = "conditioner.embedders.1.model."
IN_PROJ = TE2 + "transformer.resblocks.0.attn.in_proj_weight"


@pytest.fixture(scope="module")
def bases(tiny_checkpoint, tiny_sd15):
    return {"sdxl": tiny_checkpoint, "sd15": tiny_sd15}


@pytest.fixture(scope="module")
def loras(bases, random_lora, tmp_path_factory):
    """Two LoRAs of each architecture."""
    folder = tmp_path_factory.mktemp("loras")
    return {
        kind: [random_lora(folder / f"{kind}-{seed}.safetensors", base, seed) for seed in (1, 2)]
        for kind, base in bases.items()
    }


@pytest.fixture
def query_lora(tiny_checkpoint, tmp_path):
    """``query_lora(up, down, **metadata)``: a LoRA of one layer, and its layer's q of 128 rows."""

    def write(name="a", up=None, down=None, layer=QUERY, **metadata):
        tensors = {
            f"{layer}.lora_up.weight": torch.ones(128, 1) if up is None else up.contiguous(),
            f"{layer}.lora_down.weight": torch.ones(1, 128) if down is None else down,
        }
        path = tmp_path / f"{name}.safetensors"
        save_file(tensors, path, {"ss_sd_model_name": "tiny.safetensors", **metadata})
        return path

    return write


@pytest.mark.parametrize("kind", ["sdxl", "sd15"])
def test_all_tensors_are_what_diffusers_own_fusing_gives(bases, loras, kind, tmp_path):
    shares = [Lora(lora, ratio) for lora, ratio in zip(loras[kind], (0.7, -0.2), strict=True)]
    fuse(bases[kind], shares, tmp_path / "fused.safetensors")
    expected, found = load_pipeline(bases[kind]), load_pipeline(tmp_path / "fused.safetensors")
    before = _state(expected)
    for name, lora in zip("ab", shares, strict=True):
        folder, file = lora.path.parent, lora.path.name
        expected.load_lora_weights(
            str(folder), weight_name=file, adapter_name=name, local_files_only=True
        )
    expected.set_adapters(["a", "b"], [lora.weight for lora in shares])
    expected.fuse_lora(adapter_names=["a", "b"])
    expected.unload_lora_weights()
    after, found = _state(expected), _state(found)
    assert after.keys() == found.keys()
    assert sum((after[key] - before[key]).abs().max() > 0.01 for key in after) > 150
    assert max((after[key] - found[key]).abs().max() for key in after) < 1e-6


def test_q_k_and_v_of_the_second_text_encoder_are_rows_of_one_matrix(
    tiny_checkpoint, query_lora, tmp_path
):
    up, down = torch.eye(128)[:, :2], torch.arange(256.0).reshape(2, 128)
    for first, part in enumerate("qkv"):
        layer = QUERY.replace("q_proj", f"{part}_proj")
        out = tmp_path / "fused.safetensors"
        fuse(tiny_checkpoint, [Lora(query_lora(up=up, down=down, layer=layer), 2.0)], out)
        change = load_file(out)[IN_PROJ] - load_file(tiny_checkpoint)[IN_PROJ]
        rows = change[128 * first : 128 * first + 2]
        assert torch.allclose(rows, 2 * down, atol=1e-4) and change.count_nonzero() == 255


def test_the_projection_of_the_second_text_encoder_stands_transposed(
    tiny_checkpoint, query_lora, tmp_path
):
    lora = query_lora(
        up=torch.eye(128)[:, 3:4], down=torch.ones(1, 128), layer="lora_te2_text_projection"
    )
    fuse(tiny_checkpoint, [Lora(lora)], tmp_path / "fused.safetensors")
    name = TE2 + "text_projection"
    change = load_file(tmp_path / "fused.safetensors")[name] - load_file(tiny_checkpoint)[name]
    assert torch.allclose(change[:, 3], torch.ones(128)) and change.count_nonzero() == 128


def test_everything_else_stays_byte_for_byte(tiny_checkpoint, query_lora, tmp_path):
    base, out = tmp_path / "base.safetensors", tmp_path / "fused.safetensors"
    tensors = load_file(tiny_checkpoint) | {"model_ema.decay": torch.tensor(0.5).double()}
    tensors["ids"] = torch.arange(77)
    save_file(tensors, base)
    fuse(base, [Lora(query_lora())], out)
    fused = load_file(out)
    assert fused.keys() == tensors.keys()
    assert [key for key in fused if not torch.equal(fused[key], tensors[key])] == [IN_PROJ]


@pytest.mark.parametrize("precision", [None, "fp16", "bf16", "fp32"])
def test_precision_is_the_bases_own_or_the_one_asked_for(
    tiny_checkpoint, query_lora, tmp_path, precision
):
    half, out = tmp_path / "half.safetensors", tmp_path / "fused.safetensors"
    tensors = {key: tensor.half() for key, tensor in load_file(tiny_checkpoint).items()}
    save_file(tensors | {"ids": torch.arange(77)}, half)
    fuse(half, [Lora(query_lora(), 1e-3)], out, precision)
    fused = load_file(out)
    wanted = {"bf16": torch.bfloat16, "fp32": torch.float32}.get(precision or "", torch.float16)
    assert {t.dtype for t in fused.values() if t.is_floating_point()} == {wanted}
    exact = tensors[IN_PROJ].float()
    exact[:128] += 1e-3
    assert fused["ids"].dtype == torch.int64 and torch.equal(fused[IN_PROJ], exact.to(wanted))


def test_metadata_tell_where_it_comes_from_and_how_to_draw(tiny_checkpoint, query_lora, tmp_path):
    base, out = tmp_path / "base.safetensors", tmp_path / "fused.safetensors"
    own = {"modelspec.license": "OpenRAIL", "modelspec.author": "A", "dmm_format": "nano"}
    save_file(load_file(tiny_checkpoint), base, own | {"modelspec.hash_sha256": "0xbad"})
    jazz = query_lora("jazz", dmm_format="sdxl-512", dmm_anchor="mel music", ss_seed="3")
    calm = query_lora("calm", **{"modelspec.license": "CC0", "dmm_anchor": "calm"})
    fuse(base, [Lora(jazz, 0.5), Lora(calm)], out)
    found = read_metadata(out)
    assert found["dmm_format"] == "sdxl-512" and found["dmm_anchor"] == "mel music, calm"
    assert found["modelspec.license"] == "OpenRAIL; CC0" and found["modelspec.author"] == "A"
    assert found["modelspec.merged_from"] == "base, jazz, calm"
    stated = json.loads(found["dmm_fused"])
    assert stated["base"] == {"file": "base.safetensors", "sha256": sha256_of(base)}
    assert [(lora["sha256"], lora["ratio"]) for lora in stated["loras"]] == [
        (sha256_of(jazz), 0.5),
        (sha256_of(calm), 1.0),
    ]
    assert stated["loras"][0]["metadata"]["ss_seed"] == "3"


def test_parameters_of_the_bases_own_format_do_not_outlive_it(
    tiny_checkpoint, query_lora, tmp_path
):
    base, out = tmp_path / "base.safetensors", tmp_path / "fused.safetensors"
    save_file(load_file(tiny_checkpoint), base, {"dmm_format_parameters": "{}"})
    fuse(base, [Lora(query_lora())], out)
    assert read_metadata(out)["dmm_format_parameters"] == "{}"
    fuse(base, [Lora(query_lora(dmm_format="nano"))], out)
    assert "dmm_format_parameters" not in read_metadata(out)


def test_a_fused_base_tells_of_its_own_base_too(tiny_checkpoint, query_lora, tmp_path):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    fuse(tiny_checkpoint, [Lora(query_lora(dmm_anchor="mel"))], first)
    fuse(first, [Lora(query_lora("b"))], second)
    stated = read_metadata(second)
    assert json.loads(stated["dmm_fused"])["base"]["fused"]["base"]["file"] == "tiny.safetensors"
    assert stated["dmm_anchor"] == "mel"


def test_the_same_command_gives_the_same_bytes(tiny_checkpoint, query_lora, tmp_path):
    outs = [tmp_path / folder / "fused.safetensors" for folder in "ab"]
    for out in outs:
        fuse(tiny_checkpoint, [Lora(query_lora())], out)
    assert outs[0].read_bytes() == outs[1].read_bytes()


@pytest.mark.parametrize(
    ("tensor", "kind"),
    [
        ("hada_w1_a", "a LoHa"),
        ("lokr_w1", "a LoKr"),
        ("dora_scale", "a DoRA"),
        ("lora_mid.weight", "a LoCon with a Tucker core"),
        ("oft_blocks", "an OFT"),
        ("lora_A.weight", "a LoRA in diffusers' layout"),
    ],
)
def test_other_kinds_of_adapters_are_refused_by_name(tiny_checkpoint, tmp_path, tensor, kind):
    path = tmp_path / "a.safetensors"
    plain = {f"{QUERY}.lora_up.weight": torch.ones(128, 1), f"{QUERY}.alpha": torch.tensor(1.0)}
    save_file(plain | {f"{QUERY}.{tensor}": torch.ones(2)}, path)
    with pytest.raises(ModelError, match=f"a.safetensors: {kind}, which is not fused") as error:
        fuse(tiny_checkpoint, [Lora(path)], tmp_path / "out.safetensors")
    assert "\n" not in str(error.value)


def test_a_lora_of_another_base_is_refused_with_both(tiny_sd15, query_lora, tmp_path):
    with pytest.raises(ModelError, match=r"trained on tiny\.safetensors, not on .*tiny-sd15"):
        fuse(tiny_sd15, [Lora(query_lora())], tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_broken_loras_are_refused(tiny_checkpoint, query_lora, tmp_path):
    def fused(**settings):
        fuse(tiny_checkpoint, [Lora(query_lora(**settings))], tmp_path / "out.safetensors")

    with pytest.raises(ModelError, match="not finite"):
        fused(up=torch.full((128, 1), torch.nan))
    with pytest.raises(ModelError, match="for rank 2"):
        fused(down=torch.ones(2, 128))
    lora = query_lora()
    save_file({f"{QUERY}.lora_up.weight": torch.ones(128, 1)}, lora)
    with pytest.raises(ModelError, match="not a whole LoRA"):
        fuse(tiny_checkpoint, [Lora(lora)], tmp_path / "out.safetensors")


def test_loras_that_are_drawn_with_unlike_are_refused(tiny_checkpoint, query_lora, tmp_path):
    shares = [Lora(query_lora(name, dmm_format=name)) for name in ("nano", "sdxl-512")]
    with pytest.raises(ModelError, match="its dmm_format is sdxl-512, another LoRA's nano"):
        fuse(tiny_checkpoint, shares, tmp_path / "out.safetensors")


def test_a_weight_beyond_half_precision_is_reported_and_nothing_is_left(
    tiny_checkpoint, query_lora, tmp_path
):
    out = tmp_path / "out.safetensors"
    with pytest.raises(ModelError, match=r"in_proj_weight reaches 1e\+05, beyond half"):
        fuse(tiny_checkpoint, [Lora(query_lora(), 1e5)], out, "fp16")
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_no_input_is_written_over(tiny_checkpoint, query_lora):
    lora = query_lora()
    for out in (tiny_checkpoint, lora):
        with pytest.raises(InputError, match="name another file"):
            fuse(tiny_checkpoint, [Lora(lora)], out)
    assert read_header(lora)


def test_an_unknown_precision_and_ratio_are_reported(tiny_checkpoint, query_lora, tmp_path):
    out = tmp_path / "out.safetensors"
    with pytest.raises(PresetError, match="known: fp32, fp16, bf16"):
        fuse(tiny_checkpoint, [Lora(query_lora())], out, "fp8")
    with pytest.raises(PresetError, match="nan is no weight"):
        Lora.parse(f"{query_lora()}:nan")


def test_memory_holds_one_tensor_of_the_base_at_a_time(
    tiny_checkpoint, loras, tmp_path, monkeypatch
):
    alive, most, read = weakref.WeakSet(), 0, TensorFile.read

    def counted(file, name):
        nonlocal most
        tensor = read(file, name)
        if "lora" not in name:
            alive.add(tensor)
            most = max(most, len(alive))
        return tensor

    gc.collect()
    monkeypatch.setattr(TensorFile, "read", counted)
    fuse(tiny_checkpoint, [Lora(loras["sdxl"][0])], tmp_path / "out.safetensors", "bf16")
    assert 1 <= most <= 2  # the last one written is let go while the next is read


@pytest.mark.parametrize("kind", ["sdxl", "sd15"])
def test_the_folder_for_diffusers_holds_the_same_model(bases, kind, tmp_path):
    import diffusers

    write_diffusers_folder(bases[kind], tmp_path / "folder")
    found = diffusers.DiffusionPipeline.from_pretrained(
        tmp_path / "folder", local_files_only=True, safety_checker=None
    )
    ours = load_pipeline(bases[kind])
    assert type(found) is type(ours)
    states = _state(found), _state(ours)
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert found.tokenizer("piano, slow").input_ids == ours.tokenizer("piano, slow").input_ids
    assert found.scheduler.config.prediction_type == ours.scheduler.config.prediction_type
    assert json.loads((tmp_path / "folder" / "dmm.json").read_text())["dmm_format"] == "nano"


def test_no_folder_is_written_over(tiny_checkpoint, tmp_path):
    (tmp_path / "mine").touch()
    with pytest.raises(InputError, match="already"):
        write_diffusers_folder(tiny_checkpoint, tmp_path)


def _state(pipeline):
    return {
        f"{part}.{key}": tensor.clone()
        for part in PARTS
        if getattr(pipeline, part, None) is not None
        for key, tensor in getattr(pipeline, part).state_dict().items()
    }
