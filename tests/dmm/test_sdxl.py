import pytest
import torch
from safetensors.torch import save_file

from dmm.distill.nano import NANO, build
from dmm.errors import ModelError
from dmm.sdxl_pipeline import load_pipeline, prediction_type
from dmm.sdxl_shapes import read_shapes


def test_sizes_are_read_from_the_header(tiny_checkpoint):
    assert read_shapes(tiny_checkpoint) == NANO


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_diffusers_own_loader_finds_every_tensor_where_we_wrote_it(tiny_checkpoint):
    torch.manual_seed(0)
    unet, te1, te2, vae = build(NANO)
    pipeline = load_pipeline(tiny_checkpoint)
    loaded = (pipeline.unet, pipeline.text_encoder, pipeline.text_encoder_2, pipeline.vae)
    for ours, theirs in zip((unet, te1, te2, vae), loaded, strict=True):
        expected, found = ours.state_dict(), theirs.state_dict()
        assert expected.keys() == found.keys()
        assert all(torch.equal(expected[key], found[key]) for key in expected)


def test_prediction_type_comes_from_the_metadata(tiny_checkpoint, tmp_path):
    plain = tmp_path / "plain.safetensors"
    save_file({"x": torch.zeros(1)}, plain)
    assert prediction_type(tiny_checkpoint) == "v_prediction"
    assert prediction_type(plain) == "epsilon"


def test_another_kind_of_file_is_refused_by_name(tmp_path):
    lora = tmp_path / "lora.safetensors"
    save_file({"lora_unet.weight": torch.zeros(1)}, lora)
    with pytest.raises(ModelError, match=r"lora\.safetensors: not a single-file SDXL checkpoint"):
        read_shapes(lora)


def test_a_missing_and_a_cut_off_checkpoint_are_told_apart(tmp_path):
    with pytest.raises(ModelError, match="no such checkpoint"):
        read_shapes(tmp_path / "none.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(b"\x40")
    with pytest.raises(ModelError, match="not a whole safetensors file"):
        read_shapes(tmp_path / "cut.safetensors")


def test_a_checkpoint_that_its_card_does_not_know_is_refused(tiny_checkpoint, tmp_path):
    altered = tmp_path / "small.safetensors"
    altered.write_bytes(tiny_checkpoint.read_bytes()[:-4])
    (tmp_path / "README.md").write_text(f"| sha256 of `small.safetensors` | `{'0' * 64}` |")
    with pytest.raises(ModelError, match="damaged or altered"):
        read_shapes(altered)
