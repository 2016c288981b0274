import errno

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from dmm.bundles.schema import Bundle
from dmm.bundles.sessions import open_session, run_session
from dmm.checkpoints.pipeline import load_pipeline
from dmm.errors import DmmError, InputError, ModelError
from dmm.export import writing
from dmm.export.export import export
from dmm.export.parts import bundle_parts
from dmm.export.precision import Precisions
from dmm.export.torch_parts import run_part
from dmm.generation.conditioning import embed_prompts
from dmm.generation.loading import Lora, open_pipeline


@pytest.fixture(scope="module")
def pipelines(tiny_checkpoint, tiny_sd15):
    return {"sdxl": load_pipeline(tiny_checkpoint), "sd15": load_pipeline(tiny_sd15)}


@pytest.mark.parametrize(("rows", "columns"), [(1, 16), (3, 32)])
@pytest.mark.parametrize("kind", ["sdxl", "sd15"])
def test_parts_compute_what_pytorch_does_at_any_batch_and_width(
    exported, pipelines, kind, rows, columns, random_inputs, run_file, relative_error
):
    for part in bundle_parts(pipelines[kind], None):
        inputs = random_inputs(part, rows, columns)
        found = run_file(exported[kind] / f"{part.name}.onnx", inputs)
        for output, wanted in zip(found, run_part(part, inputs), strict=True):
            assert output.shape == wanted.shape
            assert relative_error(output, wanted) < 1e-5, part.name


@pytest.mark.parametrize("kind", ["sdxl", "sd15"])
def test_text_encoders_give_the_embeddings_that_generation_uses(
    exported, pipelines, kind, run_file, relative_error
):
    pipeline = pipelines[kind]
    expected = embed_prompts(pipeline, ["slow piano"])
    found = {}
    for name in ("", "_2") if kind == "sdxl" else ("",):
        tokenizer = getattr(pipeline, f"tokenizer{name}")
        ids = tokenizer("slow piano", padding="max_length", return_tensors="np").input_ids
        path = exported[kind] / f"text_encoder{name}.onnx"
        found[name] = run_file(path, {"input_ids": ids.astype(np.int32)})
    hidden = np.concatenate([outputs[0] for outputs in found.values()], -1)
    assert relative_error(hidden, expected.tokens.numpy()) < 1e-5
    if expected.pooled is not None:
        assert relative_error(found["_2"][1], expected.pooled.numpy()) < 1e-5


def test_clip_skip_ends_the_encoder_of_sd15_earlier(tiny_sd15, relative_error):
    pipeline = load_pipeline(tiny_sd15)
    part = next(iter(bundle_parts(pipeline, clip_skip=2)))
    ids = pipeline.tokenizer("piano", padding="max_length", return_tensors="np").input_ids
    (hidden,) = run_part(part, {"input_ids": ids})
    expected = embed_prompts(pipeline, ["piano"], clip_skip=2).tokens
    assert relative_error(hidden, expected.numpy()) < 1e-5


def test_loras_are_in_the_weights(
    tiny_checkpoint, random_lora, order, tmp_path, random_inputs, run_file, relative_error
):
    lora = Lora(random_lora(tmp_path / "lora.safetensors", tiny_checkpoint), 0.5)
    export(order(tiny_checkpoint, loras=(lora,)), tmp_path / "out")
    merged = open_pipeline(tiny_checkpoint, [lora], "cpu", "fp32")
    part = next(part for part in bundle_parts(merged, None) if part.name == "unet")
    inputs = random_inputs(part, 1, 16)
    (found,) = run_file(tmp_path / "out" / "unet.onnx", inputs)
    assert relative_error(found, run_part(part, inputs)[0]) < 1e-5


def test_half_precision_checkpoints_are_computed_in_single_precision(
    tiny_sd15, tmp_path, random_inputs, relative_error
):
    half = tmp_path / "half.safetensors"
    save_file({key: tensor.half() for key, tensor in load_file(tiny_sd15).items()}, half)
    import torch

    for narrow, wide in zip(
        bundle_parts(load_pipeline(half, torch.float16), None),
        bundle_parts(load_pipeline(half), None),
        strict=True,
    ):
        inputs = random_inputs(wide, 1, 16)
        assert relative_error(run_part(narrow, inputs)[0], run_part(wide, inputs)[0]) < 1e-6


def test_the_description_names_every_file_and_what_it_is_under(exported):
    folder = exported["sdxl"]
    bundle = Bundle.model_validate_json((folder / "bundle.json").read_text())
    listed = {file.file: file.bytes for file in bundle.files()}
    there = {str(p.relative_to(folder)): p.stat().st_size for p in folder.rglob("*") if p.is_file()}
    assert there == listed | {"bundle.json": there["bundle.json"]}
    assert bundle.latent.multiple == 4 and bundle.sampling.prediction_type == "v_prediction"
    assert [row.part for row in bundle.parity] == [*bundle.parts, "whole run"]


def test_a_shard_is_no_larger_than_asked_for(tiny_checkpoint, order, tmp_path):
    export(order(tiny_checkpoint, shard_mb=2), tmp_path / "out")
    sizes = [path.stat().st_size for path in tmp_path.glob("out/unet.onnx.data-*")]
    assert len(sizes) > 8 and max(sizes) <= 2 * 2**20


def test_static_shapes_leave_no_arithmetic_on_shapes(tiny_sd15, order, tmp_path, random_inputs):
    bundle = export(order(tiny_sd15, static=True), tmp_path / "out")
    assert bundle.parts["unet"].inputs["sample"].shape == [1, 4, 32, 32]
    session = open_session(tmp_path / "out" / "unet.onnx")
    part = next(p for p in bundle_parts(load_pipeline(tiny_sd15), None) if p.name == "unet")
    inputs = random_inputs(part, 2, 32)
    inputs["sample"] = np.repeat(inputs["sample"], 4, axis=2)
    found = run_session(session, inputs)[0]  # row by row
    assert found.shape == (2, 4, 32, 32) and not np.array_equal(found[0], found[1])
    assert b"Shape" not in (tmp_path / "out" / "unet.onnx").read_bytes().replace(b"Reshape", b"")


@pytest.fixture(scope="module")
def overflowing(tiny_checkpoint, tmp_path_factory):
    """A UNet one of whose blocks adds 300,000 to what passes through it."""
    path = tmp_path_factory.mktemp("overflowing") / "overflowing.safetensors"
    tensors = load_file(tiny_checkpoint)
    tensors["model.diffusion_model.input_blocks.4.0.out_layers.3.weight"] *= 3e6
    save_file(tensors, path, {"modelspec.prediction_type": "v", "dmm_format": "nano"})
    return path


def test_a_unet_that_overflows_in_fp16_is_refused_and_mixed_brings_it_back(
    overflowing, order, tmp_path
):
    with pytest.raises(ModelError, match=r"unet \(fp16\) is inf .* export it again with mixed"):
        export(order(overflowing, Precisions("fp16", "fp32", "fp32")), tmp_path / "fp16")
    assert not list(tmp_path.iterdir())
    bundle = export(order(overflowing, Precisions("mixed", "fp32", "fp32")), tmp_path / "mixed")
    errors = {row.part: row.relative_error for row in bundle.parity}
    assert errors["unet"] < 1e-2
    assert "2^-" in (tmp_path / "mixed" / "doctor.json").read_text()


def test_mixed_takes_little_more_than_half_the_bytes_and_int8_under_a_third(
    exported, tiny_checkpoint, order, tmp_path
):
    def size(folder):
        return sum(path.stat().st_size for path in folder.glob("unet*"))

    for precision, most in (("mixed", 0.55), ("int8", 0.3), ("int4", 0.26)):
        precisions = Precisions(precision, "fp32", "fp32")
        export(order(tiny_checkpoint, precisions), tmp_path / precision)
        assert size(tmp_path / precision) < most * size(exported["sdxl"])


def test_a_folder_with_something_in_it_is_refused(tiny_checkpoint, order, tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(InputError, match="something already"):
        export(order(tiny_checkpoint), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_full_disk_leaves_nothing(tiny_sd15, order, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writing, "_write_shards", full)
    with pytest.raises(DmmError, match="the disk is full"):
        export(order(tiny_sd15), tmp_path / "out")
    assert not list(tmp_path.iterdir())
