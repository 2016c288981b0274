"""``dmm fuse`` beside the engine's own merging and LoRA networks."""

import importlib
from argparse import Namespace

import pytest
import torch
from safetensors.torch import load_file

from dmm.checkpoints.architecture import read_architecture
from dmm.checkpoints.lora_layers import trained_layers
from dmm.fusing.fuse import fuse
from dmm.generation.loading import Lora

pytestmark = pytest.mark.filterwarnings("ignore")
RATIOS = (0.7, -0.3)


@pytest.fixture(scope="module", params=["sdxl", "sd15"])
def case(request, inside_engine, tiny_checkpoint, tiny_sd15):
    """A base, and the engine with its sizes."""
    from dmm_ext import any_width, any_width_sd15

    base = {"sdxl": tiny_checkpoint, "sd15": tiny_sd15}[request.param]
    use_sizes = {
        "sdxl": any_width.use_checkpoint_sizes,
        "sd15": any_width_sd15.use_checkpoint_sizes,
    }[request.param]
    return request.param, base, lambda: use_sizes(read_architecture(base))


def test_fusing_equals_the_engines_merge_tensor_by_tensor(
    case, inside_engine, random_lora, tmp_path, monkeypatch
):
    kind, base, sizes = case
    loras = [random_lora(tmp_path / f"{seed}.safetensors", base, seed) for seed in (1, 2)]
    ours, theirs = tmp_path / "ours.safetensors", tmp_path / "theirs.safetensors"
    fuse(base, [Lora(*pair) for pair in zip(loras, RATIOS, strict=True)], ours)
    monkeypatch.syspath_prepend(inside_engine / "networks")
    merge = importlib.import_module({"sdxl": "sdxl_merge_lora", "sd15": "merge_lora"}[kind])
    with sizes():
        merge.merge(
            Namespace(
                sd_model=str(base), models=[str(lora) for lora in loras], ratios=list(RATIOS),
                save_to=str(theirs), precision="float", save_precision="float", lbws=None,
                no_metadata=True, v2=False, concat=False, shuffle=False,
            )
        )  # fmt: skip
    found, expected, before = load_file(ours), load_file(theirs), load_file(base)
    added = {key for key in expected if "position_ids" in key or "logit_scale" in key}
    assert found.keys() == expected.keys() - added
    assert sum(not torch.equal(found[key], before[key]) for key in found) > 200
    assert max((found[key] - expected[key]).abs().max() for key in found) < 1e-6


def test_layers_that_are_unfused_are_those_the_engine_trains(case):
    from library import model_util, sdxl_model_util
    from networks import lora

    kind, base, sizes = case
    with sizes():
        if kind == "sdxl":
            load = sdxl_model_util.load_models_from_sdxl_checkpoint
            te1, te2, vae, unet, *_ = load("sdxl_base_v1-0", str(base), "cpu")
            encoders = [te1, te2]
        else:
            encoder, vae, unet = model_util.load_models_from_stable_diffusion_checkpoint(
                False, str(base)
            )
            encoders = [encoder]
        network = lora.create_network(1.0, 2, 2.0, vae, encoders, unet, conv_dim="2")
    modules = network.text_encoder_loras + network.unet_loras
    sizes = {
        module.lora_name: (len(module.lora_up.weight), *module.lora_down.weight.shape[1:])
        for module in modules
    }
    ours = trained_layers(read_architecture(base))
    assert sizes == {layer: place.size for layer, place in ours.items()}
