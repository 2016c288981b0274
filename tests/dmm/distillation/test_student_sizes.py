import pytest
import torch

from dmm.checkpoints.architecture import read_architecture
from dmm.checkpoints.network_shapes import TextEncoderShapes
from dmm.checkpoints.networks import build_unet
from dmm.checkpoints.sdxl_layout import unet_tensors
from dmm.checkpoints.sdxl_shapes import SdxlShapes
from dmm.distillation.presets import load_preset
from dmm.distillation.student_sizes import student_shapes
from dmm.errors import PresetError

SDXL = SdxlShapes(
    latent_channels=4, model_channels=320, time_embed_dim=1280, adm_channels=2816,
    context_dim=2048, depths=(2, 10), te1=TextEncoderShapes(49408, 768, 3072, 12),
    te2=TextEncoderShapes(49408, 1280, 5120, 32), vae_channels=(128, 256, 512, 512), vae_layers=2,
)  # fmt: skip


def _unet(part, teacher):
    with torch.device("meta"):
        return build_unet(student_shapes(part, teacher))


@pytest.mark.parametrize("millions", [88, 165, 330])
def test_presets_have_the_parameters_their_names_say_in_sdxls_layout(millions):
    part = load_preset(f"unet-{millions}m").unet
    assert part is not None
    assert not student_shapes(part, SDXL).custom
    unet = _unet(part, SDXL)
    assert sum(p.numel() for p in unet.parameters()) == pytest.approx(millions * 1e6, rel=0.05)
    assert all(".input_blocks." in n or "blocks." not in n[22:35] for n in unet_tensors(unet))


def test_nanos_student_has_at_most_a_quarter_of_its_unet(tiny_checkpoint):
    teacher, part = read_architecture(tiny_checkpoint), load_preset("nano-quarter").unet
    assert part is not None
    with torch.device("meta"):
        whole = build_unet(teacher)
    count = sum(p.numel() for p in _unet(part, teacher).parameters())
    assert count <= sum(p.numel() for p in whole.parameters()) / 4


def test_a_student_that_leaves_the_layout_says_so(teacher, part):
    shapes = student_shapes(part(), teacher.shapes)
    assert shapes.custom.unet_config["norm_num_groups"] == 8
    assert shapes.custom.unet_config["mid_block_type"] is None
    assert shapes.adm_channels == 128 + 6 * 8


def test_a_student_of_a_guidance_range_reads_the_scale(teacher, part):
    unet = _unet(part(guidance=(2.0, 8.0)), teacher.shapes)
    assert unet.config.time_cond_proj_dim is not None


def test_a_student_of_sd15_needs_no_pooled_text(tiny_sd15, part):
    shapes = student_shapes(part(), read_architecture(tiny_sd15))
    assert shapes.kind == "sd15"
    assert "addition_embed_type" not in shapes.custom.unet_config


@pytest.mark.parametrize(
    ("sizes", "reason"),
    [
        ({"depths": (0, 1)}, "3 channels and 2 depths"),
        ({"depths": (0, 0, 0)}, "reads no prompt"),
        ({"groups": 32}, "no multiple of the 32 groups"),
    ],
)
def test_sizes_that_make_no_unet_are_refused(teacher, part, sizes, reason):
    wrong = part(sizes=part().sizes.model_copy(update=sizes))
    with pytest.raises(PresetError, match=reason):
        student_shapes(wrong, teacher.shapes)
