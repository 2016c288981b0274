import pytest
import torch
from safetensors.torch import load_file

from dmm.checkpoints.header import read_metadata
from dmm.checkpoints.lora import check_lora
from dmm.distillation.few_steps.consistency import boundary_factors
from dmm.distillation.few_steps.training import METHODS, distil_steps, make_task
from dmm.distillation.presets import Preset, StepsPart
from dmm.generation.loading import Lora
from dmm.generation.sampling import Sampling
from dmm.generation.settings import default_sampling

TINY = {"steps": 1, "batch_size": 1, "learning_rate": 1e-3, "teacher_steps": 4, "to": 2}


@pytest.fixture
def task(teacher, sources, tmp_path):
    def make(**changes):
        part = StepsPart(**{**TINY, **changes})
        return make_task(part, teacher, sources, tmp_path, Sampling(guidance=1.0))

    return make


@pytest.mark.parametrize("method", METHODS)
def test_every_method_teaches_the_student_and_not_its_teacher(task, method):
    made = task(method=method)
    before = made.teacher.pipeline.unet.conv_out.weight.clone()
    objective = METHODS[method](made)
    objective.loss(torch.Generator().manual_seed(1)).backward()
    assert all(p.grad is not None for p in objective.module.student.conv_out.parameters())
    assert made.teacher.pipeline.unet.conv_out.weight.grad is None
    assert torch.equal(made.teacher.pipeline.unet.conv_out.weight, before)


def test_a_student_in_one_pass_as_its_teacher_has_nothing_to_learn(task):
    made = task(teacher_steps=2, batch_size=2)
    objective = METHODS["progressive"](made)
    assert objective.loss(torch.Generator().manual_seed(0)).item() < 1e-4


def test_matching_stops_at_the_first_step(task):
    made = task(method="dp-dmd", to=1)
    pair = METHODS["dp-dmd"](made)
    pair.loss(torch.Generator().manual_seed(0)).backward()
    assert all(p.grad is None for p in pair.module.follower.parameters())


def test_near_no_noise_a_consistent_student_is_the_identity():
    skip, out = boundary_factors(torch.tensor([0, 999]))
    assert skip[0].item() == 1 and out[0].item() == 0
    assert out[1].item() == pytest.approx(1, abs=1e-3)


def test_a_few_step_model_names_its_sampler_and_is_made_once(tiny_checkpoint, sources, tmp_path):
    preset = Preset(name="test", steps=StepsPart(**TINY))
    out = distil_steps(tiny_checkpoint, (), preset, sources, tmp_path / "fast.safetensors")
    assert default_sampling(out) == Sampling("ddim-trailing", 2, 1.0)
    assert read_metadata(out)["modelspec.prediction_type"] == "v"
    made = out.stat().st_mtime_ns
    distil_steps(tiny_checkpoint, (), preset, sources, out)
    assert out.stat().st_mtime_ns == made


def test_a_lora_goes_back_on_its_base(tiny_checkpoint, sources, tmp_path):
    part = StepsPart(**{**TINY, "steps": 2, "rank": 4})
    out = tmp_path / "fast-lora.safetensors"
    distil_steps(tiny_checkpoint, (), Preset(name="test", steps=part), sources, out)
    check_lora(out, tiny_checkpoint)
    tensors = load_file(out)
    assert any(".lora_up." in name and tensor.abs().sum() > 0 for name, tensor in tensors.items())
    assert default_sampling(tiny_checkpoint, [Lora(out)]) == Sampling("ddim-trailing", 2, 1.0)
