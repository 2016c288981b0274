import copy

import pytest
import torch

from dmm.checkpoints.networks import build_unet
from dmm.distillation.block_map import feature_module_pairs, map_blocks
from dmm.distillation.inheritance import inherit_weights, inherited_share
from dmm.distillation.presets import UnetSizes
from dmm.distillation.student_sizes import student_shapes
from dmm.distillation.unet_channels import ChannelGroup, axes_of
from dmm.distillation.unet_prediction import unet_prediction
from dmm.errors import PresetError
from dmm.generation.conditioning import PromptEmbeddings

WHOLE = UnetSizes(channels=(32, 64, 128), depths=(0, 1, 1))


@pytest.fixture
def student(teacher, part):
    def make(**sizes):
        torch.manual_seed(1)
        changed = part(sizes=WHOLE.model_copy(update=sizes))
        return build_unet(student_shapes(changed, teacher.shapes))

    return make


def test_a_student_as_large_as_its_teacher_becomes_its_teacher(teacher, student):
    unet = student()
    assert inherit_weights(unet, teacher.pipeline.unet) == []
    wanted = teacher.pipeline.unet.state_dict()
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in unet.state_dict().items())


def test_every_weight_of_a_narrower_and_shallower_student_has_a_source(teacher, student):
    unet = student(channels=(16, 32, 64), layers=1, groups=16, size_width=8)
    fresh = inherit_weights(unet, teacher.pipeline.unet)
    assert fresh == []
    assert inherited_share(unet, fresh) == 1


def test_first_and_last_resnets_stay_and_those_between_go(teacher, student):
    names = map_blocks(student(layers=1), teacher.pipeline.unet)
    assert names["up_blocks.0.resnets.0"] == "up_blocks.0.resnets.0"
    assert names["up_blocks.0.resnets.1"] == "up_blocks.0.resnets.2"
    assert names["down_blocks.1.resnets.0"] == "down_blocks.1.resnets.0"


def test_channels_that_do_nothing_are_left_behind(teacher, student):
    wide = copy.deepcopy(teacher.pipeline.unet)
    dead = list(range(0, 32, 2))
    with torch.no_grad():
        for name, axes in axes_of(wide).items():
            for dim, axis in enumerate(axes):
                start = 0
                for group in axis:
                    if group.name == "level 0":
                        weight = wide.get_parameter(name).movedim(dim, 0)
                        weight[[start + place for place in dead]] = 0
                    start += group.size
    unet = student(channels=(16, 64, 128), groups=16)
    inherit_weights(unet, wide)
    alive = wide.conv_in.weight[1::2]
    assert torch.equal(unet.conv_in.weight, alive)
    assert torch.equal(unet.conv_out.weight, wide.conv_out.weight[:, 1::2])


def test_whole_heads_are_kept_where_there_are_several():
    own, teacher = ChannelGroup("heads", 4, whole=2), ChannelGroup("heads", 8, whole=2)
    importance = torch.tensor([1.0, 1, 9, 9, 5, 0, 7, 7])
    assert own.kept_indices(teacher, importance).tolist() == [2, 3, 6, 7]


def test_frequencies_are_kept_at_even_distances():
    own, teacher = ChannelGroup("time", 4, spaced=True), ChannelGroup("time", 8, spaced=True)
    assert own.kept_indices(teacher, torch.zeros(8)).tolist() == [0, 2, 4, 6]


def test_a_student_wider_than_its_teacher_is_refused_by_name(teacher, student):
    with pytest.raises(PresetError, match=r"the student has 64 channels, its teacher 32; .*fresh"):
        inherit_weights(student(channels=(64, 64, 128)), teacher.pipeline.unet)


def test_inherited_halves_are_nearer_to_the_teacher_than_fresh_weights(teacher, student):
    torch.manual_seed(0)
    embeddings = PromptEmbeddings(torch.randn(4, 77, 192), torch.randn(4, 128))
    inputs = torch.randn(4, 8, 16, 16), torch.randint(1000, (4,)), embeddings
    with torch.no_grad():
        wanted = unet_prediction(teacher.pipeline.unet, *inputs)
        unet = student(layers=1)
        before = (unet_prediction(unet, *inputs) - wanted).square().mean()
        inherit_weights(unet, teacher.pipeline.unet)
        after = (unet_prediction(unet, *inputs) - wanted).square().mean()
    assert after < before


def test_features_are_paired_layer_by_layer(teacher, student):
    unet = student(layers=1)
    names = map_blocks(unet, teacher.pipeline.unet)
    pairs = feature_module_pairs(names, unet, "self-attention")
    assert pairs["up_blocks.0.attentions.1.transformer_blocks.0.attn1"] == (
        "up_blocks.0.attentions.2.transformer_blocks.0.attn1"
    )
    blocks = feature_module_pairs(names, unet, "blocks")
    assert blocks.keys() == {f"{s}_blocks.{i}" for s in ("up", "down") for i in range(3)} | {
        "mid_block"
    }
