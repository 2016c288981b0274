"""Students of ``dmm distill``: layouts of their own, tiny decoders, guidance as an input."""

from dataclasses import replace

import numpy as np
import pytest

from dmm.bundles.folder import read_description
from dmm.export.exporter import ExportOptions, export
from dmm.export.precision import Precisions
from dmm.generation.bundle_model import BundleModel
from dmm.generation.loaded_model import LoadedModel
from dmm.generation.requests import ClipRequest
from dmm.generation.settings import resolve_settings


@pytest.fixture(scope="module")
def student(write_student, tmp_path_factory):
    """A student that reads the guidance scale, of three steps."""
    path = tmp_path_factory.mktemp("guided") / "student.safetensors"
    sampling = {"dmm_sampler": "ddim-trailing", "dmm_steps": "3", "dmm_guidance": "4"}
    return write_student(path, {"time_cond_proj_dim": 16}, **sampling)


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
