"""Students of ``dmm distill``: layouts of their own, tiny decoders, guidance as an input."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dmm.bundles.folder import read_description
from dmm.checkpoints.custom_layout import CustomLayout, as_json
from dmm.checkpoints.networks import build
from dmm.checkpoints.sdxl_layout import save_checkpoint, single_file_tensors
from dmm.export.export import ExportOptions, export
from dmm.export.precision import Precisions
from dmm.generation.bundle_model import BundleModel
from dmm.generation.loaded_model import LoadedModel
from dmm.generation.requests import ClipRequest
from dmm.generation.settings import resolve_settings
from dmm.pretraining.nano import NANO

UNET = {
    "in_channels": 8, "out_channels": 8, "block_out_channels": [16, 32], "layers_per_block": 1,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"], "mid_block_type": None,
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"], "norm_num_groups": 8,
    "attention_head_dim": [1, 1], "cross_attention_dim": 48, "time_embedding_dim": 32,
    "encoder_hid_dim": 192, "encoder_hid_dim_type": "text_proj", "time_cond_proj_dim": 16,
    "use_linear_projection": True, "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": 128 + 6 * 8,
}  # fmt: skip
VAE = {
    "out_channels": 1, "latent_channels": 8, "encoder_block_out_channels": [8] * 4,
    "decoder_block_out_channels": [8] * 4, "num_encoder_blocks": [1] * 4,
    "num_decoder_blocks": [1] * 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    """A student that reads the guidance scale, of three steps."""
    torch.manual_seed(0)
    custom = CustomLayout(as_json(UNET), as_json(VAE))
    networks = build(replace(NANO, custom=custom))
    path = tmp_path_factory.mktemp("student") / "student.safetensors"
    sampling = {"dmm_sampler": "ddim-trailing", "dmm_steps": "3", "dmm_guidance": "4"}
    metadata = {"modelspec.prediction_type": "v", "dmm_format": "nano", **sampling}
    tensors = single_file_tensors(*networks.values(), custom=custom)
    save_checkpoint(path, tensors, {**metadata, **custom.metadata}, torch.float32)
    return path


@pytest.fixture(scope="module")
def bundle(student, tmp_path_factory):
    out = tmp_path_factory.mktemp("bundles") / "student"
    fp32 = Precisions("fp32", "fp32", "fp32")
    export(ExportOptions(student, resolve_settings(student), ("piano",), precisions=fp32), out)
    return out


def test_a_student_reads_guidance_and_makes_grey_images(bundle):
    found = read_description(bundle)
    assert found.parts["unet"].inputs["guidance"].shape == ["timesteps"]
    assert found.parts["vae_decoder"].outputs["image"].shape[1] == 1
    assert (found.sampling.sampler, found.sampling.steps) == ("ddim-trailing", 3)
    assert found.sampling.guidance == 4 and all(row.passes for row in found.parity)


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_its_bundle_makes_the_clips_that_the_student_makes(student, bundle, guidance):
    images = []
    for model in (LoadedModel(student, device="cpu"), BundleModel(bundle, "cpu")):
        settings = model.settings()
        settings = replace(settings, sampling=settings.sampling.override(guidance=guidance))
        images += model.generate_images([ClipRequest("slow piano", 5)], settings)
    apart = np.abs(images[0].levels.astype(int) - images[1].levels)
    assert apart.max() <= 1 and images[0].levels.std() > 0


def test_another_scale_makes_another_clip(bundle):
    model, images = BundleModel(bundle, "cpu"), []
    for guidance in (1.0, 8.0):
        settings = model.settings()
        settings = replace(settings, sampling=settings.sampling.override(guidance=guidance))
        images += model.generate_images([ClipRequest("slow piano", 5)], settings)
    assert not np.array_equal(images[0].levels, images[1].levels)
