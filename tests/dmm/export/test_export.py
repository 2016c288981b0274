import numpy as np
import onnxruntime
import pytest
import torch

from dmm.bundles.schema import Bundle
from dmm.checkpoints.pipeline import load_pipeline
from dmm.errors import InputError
from dmm.export.export import Order, export
from dmm.export.parts import bundle_parts
from dmm.export.precision import Precisions
from dmm.generation.conditioning import embed_prompts
from dmm.generation.loading import Lora, open_pipeline
from dmm.generation.recipe import make_recipe
from dmm.generation.sampling import Sampling

FP32 = Precisions("fp32", "fp32", "fp32")
QUICK = Sampling(sampler="ddim", steps=2, guidance=1.0)


def order(model, precisions=FP32, **changes):
    """An export that takes as little time as may be."""
    recipe = make_recipe(model, changes.get("loras", ()), QUICK)
    return Order(model, recipe, ("slow piano",), precisions=precisions, **changes)


@pytest.fixture(scope="module")
def exported(tiny_checkpoint, tiny_sd15, tmp_path_factory):
    """Both architectures as fp32 bundles."""
    folders = {}
    for kind, model in {"sdxl": tiny_checkpoint, "sd15": tiny_sd15}.items():
        folders[kind] = tmp_path_factory.mktemp("bundles") / kind
        export(order(model), folders[kind])
    return folders


@pytest.fixture(scope="module")
def pipelines(tiny_checkpoint, tiny_sd15):
    return {"sdxl": load_pipeline(tiny_checkpoint), "sd15": load_pipeline(tiny_sd15)}


@pytest.mark.parametrize(("rows", "columns"), [(1, 16), (3, 32)])
@pytest.mark.parametrize("kind", ["sdxl", "sd15"])
def test_parts_compute_what_pytorch_does_at_any_batch_and_width(
    exported, pipelines, kind, rows, columns
):
    for part in bundle_parts(pipelines[kind], None):
        inputs = random_inputs(part, rows, columns)
        with torch.no_grad():
            expected = part.network(*inputs.values())
        for found, wanted in zip(
            run(exported[kind] / f"{part.name}.onnx", inputs), as_tuple(expected), strict=True
        ):
            assert found.shape == wanted.shape
            assert relative_error(found, wanted.numpy()) < 1e-5, part.name


@pytest.mark.parametrize("kind", ["sdxl", "sd15"])
def test_text_encoders_give_the_embeddings_that_generation_uses(exported, pipelines, kind):
    pipeline = pipelines[kind]
    words = embed_prompts(pipeline, ["slow piano"])
    found = {}
    for name in ("", "_2") if kind == "sdxl" else ("",):
        tokenizer = getattr(pipeline, f"tokenizer{name}")
        ids = tokenizer("slow piano", padding="max_length", return_tensors="np").input_ids
        found[name] = run(exported[kind] / f"text_encoder{name}.onnx", {"input_ids": ids})
    hidden = np.concatenate([outputs[0] for outputs in found.values()], -1)
    assert relative_error(hidden, words.tokens.numpy()) < 1e-5
    if words.pooled is not None:
        assert relative_error(found["_2"][1], words.pooled.numpy()) < 1e-5


def test_clip_skip_ends_the_encoder_of_sd15_earlier(tiny_sd15):
    pipeline = load_pipeline(tiny_sd15)
    part = next(iter(bundle_parts(pipeline, clip_skip=2)))
    ids = pipeline.tokenizer("piano", padding="max_length", return_tensors="pt").input_ids
    with torch.no_grad():
        (hidden,) = part.network(ids)
    expected = embed_prompts(pipeline, ["piano"], clip_skip=2).tokens
    assert torch.allclose(hidden, expected, atol=1e-5)


def test_loras_are_in_the_weights(tiny_checkpoint, random_lora, tmp_path):
    lora = Lora(random_lora(tmp_path / "lora.safetensors", tiny_checkpoint), 0.5)
    export(order(tiny_checkpoint, loras=(lora,)), tmp_path / "out")
    merged = open_pipeline(tiny_checkpoint, [lora], "cpu", "fp32")
    part = next(part for part in bundle_parts(merged, None) if part.name == "unet")
    inputs = random_inputs(part, 1, 16)
    with torch.no_grad():
        expected = part.network(*inputs.values()).numpy()
    (found,) = run(tmp_path / "out" / "unet.onnx", inputs)
    assert relative_error(found, expected) < 1e-5


def test_the_description_names_every_file(exported):
    folder = exported["sdxl"]
    bundle = Bundle.model_validate_json((folder / "bundle.json").read_text())
    listed = {file.file: file.bytes for file in bundle.files()}
    there = {str(p.relative_to(folder)): p.stat().st_size for p in folder.rglob("*") if p.is_file()}
    assert there == listed | {"bundle.json": there["bundle.json"]}


def test_a_shard_is_no_larger_than_asked_for(tiny_checkpoint, tmp_path):
    export(order(tiny_checkpoint, shard_mb=2), tmp_path / "out")
    sizes = [path.stat().st_size for path in tmp_path.glob("out/unet.onnx.data-*")]
    assert len(sizes) > 8 and max(sizes) <= 2 * 2**20


def test_a_folder_with_something_in_it_is_refused(tiny_checkpoint, tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(InputError, match="something already"):
        export(order(tiny_checkpoint), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def random_inputs(part, rows, columns):
    """Inputs of a part, a latent of 8 rows."""
    generator = torch.Generator().manual_seed(0)

    def value(name, like):
        if name == "input_ids":
            ids = torch.randint(0, 1023, (rows, 77), generator=generator, dtype=torch.int32)
            ids[:, [20, 50]] = 1023  # end of text: the first counts
            return ids
        if name == "timestep":
            return torch.tensor([500.0])
        shape = (8, columns) if name in ("sample", "latents") else like.shape[2:]
        return torch.randn(rows, like.shape[1], *shape, generator=generator)

    return {name: value(name, like) for name, like in part.inputs.items()}


def run(path, inputs):
    """A part's outputs in ONNX Runtime."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    arrays = {name: np.asarray(value) for name, value in inputs.items()}
    return session.run(
        None, {k: v.astype(np.int32) if k == "input_ids" else v for k, v in arrays.items()}
    )


def as_tuple(found):
    return found if isinstance(found, tuple) else (found,)


def relative_error(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)
