"""SDXL loaded tensor by tensor: the bits of sd-scripts' own loader, and text encoders let go."""

import argparse

import pytest
import torch
from safetensors.torch import load_file, save_file

from dmm.checkpoints.architecture import read_architecture

pytestmark = pytest.mark.filterwarnings("ignore")
PLAIN = {"base_weights": None, "fp8_base": False, "fp8_base_unet": False}


@pytest.fixture(scope="module")
def half_checkpoint(tiny_checkpoint, tmp_path_factory):
    """The tiny checkpoint in half precision, as SDXL 1.0 is published."""
    path = tmp_path_factory.mktemp("half") / "half.safetensors"
    save_file({k: t.half() for k, t in load_file(tiny_checkpoint).items()}, path)
    return path


@pytest.fixture(scope="module")
def load(inside_engine, half_checkpoint):
    """``load(dtype, light, **settings)``: text encoders, VAE and UNet by the engine's loader."""
    from contextlib import nullcontext

    from library import sdxl_model_util

    from dmm_ext.any_width import use_checkpoint_sizes
    from dmm_ext.light_loading import light_loading

    def loaded(dtype, light=True, path=half_checkpoint, **settings):
        args = argparse.Namespace(pretrained_model_name_or_path=str(path), **PLAIN | settings)
        how = light_loading(args, dtype) if light else nullcontext()
        with use_checkpoint_sizes(read_architecture(half_checkpoint)), how:
            return sdxl_model_util.load_models_from_sdxl_checkpoint("", str(path), "cpu")[:4]

    return loaded


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_every_weight_has_the_bits_that_the_engine_trains_with(load, dtype):
    for ours, theirs in zip(load(dtype), load(dtype, light=False), strict=True):
        wanted = torch.float32 if type(ours).__name__ == "AutoencoderKL" else dtype
        assert {t.dtype for t in ours.parameters()} == {wanted}
        found, expected = ours.state_dict(), theirs.to(wanted).state_dict()
        assert found.keys() == expected.keys()
        assert all(found[key].equal(expected[key]) for key in found)


def test_eight_bits_are_rounded_once(load):
    *_, ours = load(torch.bfloat16, fp8_base_unet=True)
    *_, theirs = load(torch.bfloat16, light=False)
    assert {t.dtype for t in ours.parameters()} == {torch.float16}
    found, expected = (unet.to(torch.float8_e4m3fn).state_dict() for unet in (ours, theirs))
    assert all(found[key].float().equal(expected[key].float()) for key in found)


def test_weights_that_the_engine_merges_into_stay_in_single_precision(load):
    *_, unet = load(torch.bfloat16, base_weights=["other.safetensors"])
    assert {t.dtype for t in unet.parameters()} == {torch.float32}


@pytest.mark.parametrize("change", ["lacks", "unknown"])
def test_a_checkpoint_of_other_tensors_is_refused_with_a_name(
    load, half_checkpoint, tmp_path, change
):
    tensors, name = load_file(half_checkpoint), "model.diffusion_model.out.0.bias"
    if change == "lacks":
        del tensors[name]
    else:
        tensors[name + ".more"] = tensors[name].clone()
    save_file(tensors, tmp_path / "other.safetensors")
    with pytest.raises(RuntimeError, match=r"SdxlUNet2DConditionModel: .*out\.0\.bias"):
        load(torch.bfloat16, path=tmp_path / "other.safetensors")


def test_text_encoders_are_let_go_once_their_outputs_are_cached(train_here, tmp_path):
    """And previews, which embed their prompts before, still work."""

    def fixed_captions(trainer):
        check = trainer.assert_extra_args

        def assert_extra_args(args, group, val_group):
            for subset in (s for dataset in group.datasets for s in dataset.subsets):
                subset.shuffle_caption = False
            check(args, group, val_group)

        trainer.assert_extra_args = assert_extra_args

    settings = {"max_train_steps": 2, "preview_every_n_steps": 2, "preview_count": 1}
    settings |= {"preview_steps": 1, "preview_prompts": ["piano"]}
    code, trainer = train_here(
        tmp_path,
        fixed_captions,
        cache_text_encoder_outputs=True,
        mixed_precision="bf16",
        **settings,
    )
    assert code == 0 and (tmp_path / "lora.safetensors").is_file()
    encoders = trainer.training_run.engine.text_encoders
    assert {p.device.type for encoder in encoders for p in encoder.parameters()} == {"meta"}
    assert len(list((tmp_path / "previews").rglob("*.png"))) == 2
