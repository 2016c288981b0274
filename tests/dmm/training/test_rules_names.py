"""What rules know of the engine, torch and diffusion, against these themselves."""

import re
from math import sqrt

import pytest

from dmm.training.presets import resolve
from dmm.training.rules.dependencies import dependencies
from dmm.training.rules.loss import SDXL_OFFSET, mean_level_deviation
from dmm.training.rules.network import LORA_ARGS
from dmm.training.rules.optimizer import OPTIMIZERS, SCHEDULERS, TORCH_OPTIMIZERS

SCHEDULE_SETTINGS = [
    key for row in dependencies() if row.needs == ("lr_scheduler",) for key in row.settings
]


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("networks/lora.py", [name for name in LORA_ARGS if name != "dropout"]),
        ("library/train_util.py", [*OPTIMIZERS, *SCHEDULE_SETTINGS]),
    ],
)
def test_the_engine_still_reads_the_names_we_know(engine, file, names):
    source = (engine / file).read_text(encoding="utf-8")
    assert [name for name in names if not re.search(rf'["\'.]{name}\b', source)] == []


def test_the_engine_reads_no_network_argument_that_we_refuse(engine):
    source = (engine / "networks" / "lora.py").read_text(encoding="utf-8")
    assert set(re.findall(r'kwargs\.get\("(\w+)"', source)) | {"dropout"} == set(LORA_ARGS)


def test_the_schedules_and_optimizers_we_know_exist():
    import torch
    from transformers.optimization import TYPE_TO_SCHEDULER_FUNCTION

    theirs = {kind.value for kind in TYPE_TO_SCHEDULER_FUNCTION} | {"piecewise_constant"}
    assert set(SCHEDULERS) <= theirs
    assert all(hasattr(torch.optim, name) for name in TORCH_OPTIMIZERS)


def test_sdxls_noise_offset_is_the_engines_figure(engine):
    source = (engine / "library" / "sdxl_train_util.py").read_text(encoding="utf-8")
    assert f"DEFAULT_NOISE_OFFSET = {SDXL_OFFSET}" in source
    assert resolve("sdxl-24gb")["noise_offset"] == SDXL_OFFSET


def test_the_samplers_of_previews_are_known_to_generate():
    from dmm.generation.sampling import SAMPLERS
    from dmm.training.known_settings import known_options

    assert set(known_options()["preview_sampler"].choices or ()) == set(SAMPLERS)


def test_a_channels_level_hides_behind_the_mean_of_its_noises(rng):
    signal = 0.0682  # sqrt of alphas_cumprod at t = 999
    noise = rng.standard_normal((4000, 256)).mean(1) + 0.1 * rng.standard_normal(4000)
    expected = noise.std() * sqrt(1 - signal**2) / signal
    assert mean_level_deviation(256, 0.1) == pytest.approx(expected, rel=0.05)
