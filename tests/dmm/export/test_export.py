import errno
import json

import numpy as np
import pytest
import torch
from onnx import helper
from safetensors.torch import load_file, save_file

from dmm.bundles.folder import read_description
from dmm.bundles.sessions import open_session, run_session
from dmm.checkpoints.pipeline import load_pipeline
from dmm.cli import run as run_command
from dmm.errors import DmmError, InputError
from dmm.export import running, writing
from dmm.export.arrays import LazyArray
from dmm.export.doctor import diagnose
from dmm.export.emulation import emulate_half
from dmm.export.exporter import export
from dmm.export.graph import Graph, shorten_names, trace
from dmm.export.half import to_half
from dmm.export.probing import open_probe
from dmm.export.quantize import quantize
from dmm.export.reading import read_graph
from dmm.export.source import Source
from dmm.export.torch_parts import run_part
from dmm.export.traceable_parts import bundle_parts
from dmm.export.writing import write_graph
from dmm.generation.conditioning import embed_prompts
from dmm.generation.loading import Lora, open_pipeline
from dmm.generation.settings import resolve_settings


@pytest.mark.parametrize(("rows", "columns"), [(1, 16), (3, 32)])
@pytest.mark.parametrize("kind", ["sdxl", "sd15"])
def test_parts_compute_what_pytorch_does_at_any_batch_and_width(
    sources, traced, kind, rows, columns, random_inputs, run_graph, relative_error
):
    for name, part in sources[kind].parts.items():
        inputs = random_inputs(part, rows, columns)
        found = run_graph(traced[kind][name], inputs)
        for output, wanted in zip(found, run_part(part, inputs), strict=True):
            assert output.shape == wanted.shape
            assert relative_error(output, wanted) < 1e-5, name


@pytest.mark.parametrize("kind", ["sdxl", "sd15"])
def test_text_encoders_give_the_embeddings_that_generation_uses(sources, kind, relative_error):
    source = sources[kind]
    expected = embed_prompts(source.pipeline, ["slow piano"])
    names = [name for name in source.parts if name.startswith("text_encoder")]
    found = [
        source.run(name, {"input_ids": ids[None]})
        for name, ids in zip(names, source.ids("slow piano"), strict=True)
    ]
    hidden = np.concatenate([outputs[0] for outputs in found], -1)
    assert relative_error(hidden, expected.tokens.numpy()) < 1e-5
    if expected.pooled is not None:
        assert relative_error(found[-1][1], expected.pooled.numpy()) < 1e-5


def test_clip_skip_ends_the_encoder_of_sd15_earlier(sources, relative_error):
    pipeline = sources["sd15"].pipeline
    part = next(iter(bundle_parts(pipeline, clip_skip=2)))
    (hidden,) = run_part(part, {"input_ids": sources["sd15"].ids("piano")[0][None]})
    expected = embed_prompts(pipeline, ["piano"], clip_skip=2).tokens
    assert relative_error(hidden, expected.numpy()) < 1e-5


def test_loras_are_in_the_weights(tiny_sd15, random_lora, tmp_path):
    lora = Lora(random_lora(tmp_path / "lora.safetensors", tiny_sd15), 0.5)
    source = Source(tiny_sd15, resolve_settings(tiny_sd15), [lora])
    merged = open_pipeline(tiny_sd15, [lora], "cpu", "fp32").unet.state_dict()
    before = load_pipeline(tiny_sd15).unet.state_dict()
    name = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight"
    weight = source.parts["unet"].network.unet.get_parameter(name)
    assert torch.equal(weight, merged[name]) and not torch.equal(weight, before[name])


def test_half_precision_checkpoints_are_computed_in_single_precision(
    tiny_sd15, tmp_path, random_inputs, relative_error
):
    half = tmp_path / "half.safetensors"
    save_file({key: tensor.half() for key, tensor in load_file(tiny_sd15).items()}, half)
    for narrow, wide in zip(
        bundle_parts(load_pipeline(half, torch.float16), None),
        bundle_parts(load_pipeline(half), None),
        strict=True,
    ):
        inputs = random_inputs(wide, 1, 16)
        assert relative_error(run_part(narrow, inputs)[0], run_part(wide, inputs)[0]) < 1e-6


def test_half_precision_weights_of_a_large_network_are_stored_as_such_while_it_runs(
    student, tmp_path, monkeypatch, random_inputs, relative_error
):
    monkeypatch.setattr(running, "LARGE_BYTES", 0)
    parts = bundle_parts(load_pipeline(student, torch.float16), None)
    part = next(part for part in parts if part.name == "unet")
    inputs, graph = random_inputs(part, 1, 16), trace(part)
    whole = sum(array.nbytes for array in graph.weights.values())
    for opened in (running.open_graph, open_probe):
        with opened(graph, tmp_path) as run:
            stored = sum(path.stat().st_size for path in tmp_path.rglob("*.data-*"))
            assert stored < 0.55 * whole
            assert relative_error(run(inputs)[0], run_part(part, inputs)[0]) < 1e-5


def test_static_shapes_leave_no_arithmetic_on_shapes_and_run_row_by_row(
    sources, tmp_path, random_inputs, relative_error
):
    source = sources["student"]
    part = source.parts["unet"]
    graph = trace(part.fixed(source.sizes(rows=1)))
    assert "Shape" not in {node.op_type for node in graph.nodes}
    write_graph(graph, tmp_path / "unet.onnx", 2**30)
    inputs = random_inputs(part, 2, 32)
    inputs["sample"] = np.tile(inputs["sample"], (1, 1, 4, 1))
    found = run_session(open_session(tmp_path / "unet.onnx"), inputs)[0]
    assert relative_error(found, run_part(part, inputs)[0]) < 1e-5
    with open_probe(graph, tmp_path) as probe:
        assert relative_error(probe(inputs)[0], found) < 1e-5


def test_a_shard_is_no_larger_than_asked_for_and_reads_back(tmp_path):
    arrays = {f"w{i}": np.full((300, 1000), i, np.float32) for i in range(5)}
    lazy = {name: LazyArray(a.shape, a.dtype, lambda a=a: a) for name, a in arrays.items()}
    nodes = [helper.make_node("Add", ["x", name], [f"y{name}"], name) for name in arrays]
    model = helper.make_model(helper.make_graph(nodes, "g", [], []))
    _, shards = write_graph(Graph(model, lazy), tmp_path / "g.onnx", 3_000_000)
    assert [shard.file for shard in shards] == [f"g.onnx.data-{i:05}" for i in range(3)]
    assert max(shard.bytes for shard in shards) <= 3_000_000
    back = read_graph(tmp_path / "g.onnx").weights
    assert all(np.array_equal(back[name].load(), array) for name, array in arrays.items())


def test_small_arrays_lie_in_the_graph_and_only_large_ones_in_a_shard(tmp_path):
    arrays = {"w": np.ones((600, 1000), np.float32), "bias": np.ones(200, np.float32)}
    lazy = {name: LazyArray(a.shape, a.dtype, lambda a=a: a) for name, a in arrays.items()}
    nodes = [helper.make_node("Add", ["x", name], [f"y{name}"], name) for name in arrays]
    model = helper.make_model(helper.make_graph(nodes, "g", [], []))
    _, [shard] = write_graph(Graph(model, lazy), tmp_path / "g.onnx", 2**30)
    assert shard.bytes == arrays["w"].nbytes
    back = read_graph(tmp_path / "g.onnx")
    assert list(back.weights) == ["w"]
    assert [constant.name for constant in back.model.graph.initializer] == ["bias"]


@pytest.mark.parametrize("kind", ["sdxl", "sd15"])
def test_mixed_takes_little_more_than_half_the_bytes_and_int8_under_a_third(traced, kind):
    def size(graph):
        graph.weights = dict(graph.weights)
        shorten_names(graph)
        weights = sum(array.nbytes for array in graph.weights.values())
        return weights + len(graph.model.SerializeToString())

    unet = traced[kind]["unet"]
    norms = [node.name for node in unet.nodes if node.op_type.endswith("Normalization")]
    whole = sum(array.nbytes for array in unet.weights.values())
    for graph, most in ((to_half(unet, norms), 0.55), (quantize(unet, 8), 0.3)):
        assert size(graph) < most * whole


@pytest.mark.parametrize(("name", "base"), [("unet", "student"), ("vae_decoder", "tiny_sd15")])
def test_a_part_that_overflows_in_half_precision_comes_back_finite_and_close(
    request, tmp_path, random_inputs, run_graph, relative_error, name, base
):
    """One of its blocks adds 300,000 to what passes through it, as one of SDXL's VAE does."""
    pipeline = load_pipeline(request.getfixturevalue(base))
    is_unet = name == "unet"
    block = pipeline.unet.down_blocks[1] if is_unet else pipeline.vae.decoder.mid_block
    with torch.no_grad():
        block.resnets[0].conv2.weight *= 1e6
    part = next(part for part in bundle_parts(pipeline, None) if part.name == name)
    inputs, graph = random_inputs(part, 1, 16), trace(part)
    assert not np.isfinite(run_graph(emulate_half(to_half(graph)), inputs)[0]).all()
    with open_probe(graph, tmp_path) as probe:
        expected = probe(inputs)[0]
    plan = diagnose(graph, probe.peaks())
    found = run_graph(emulate_half(plan.half()), inputs)[0]
    assert relative_error(found, expected) < 1e-2
    assert any(finding.remedy.startswith("2^-") for finding in plan.findings)
    assert not [node for node in plan.keep if "/conv" in node and "norm" not in node]


def test_a_bundle_is_written_compared_verified_and_described(student, tmp_path, capsys):
    out = tmp_path / "bundle"
    options = ["--steps", "2", "--guidance", "1", "--sampler", "ddim", "--music-licence", "CC0-1.0"]
    assert run_command(["export", str(student), "--out", str(out), *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("text_encoder   mixed") and lines[-1] == str(out)
    bundle = read_description(out)
    listed = {file.file: file.bytes for file in bundle.files()}
    there = {str(p.relative_to(out)): p.stat().st_size for p in out.rglob("*") if p.is_file()}
    assert there == listed | {"bundle.json": there["bundle.json"]}
    assert [row.part for row in bundle.parity] == [*bundle.parts, *bundle.parts, "whole run"]
    assert [row.precision for row in bundle.parity] == ["fp32"] * 4 + ["mixed"] * 4 + [None]
    assert all(row.passes for row in bundle.parity) and bundle.latent.multiple == 2
    assert bundle.licences.music == ["CC0-1.0"] and len(bundle.prompts) == 8
    assert json.loads((out / "doctor.json").read_text())["unet"][0]["remedy"] == "fp32"
    assert run_command(["export", "--verify", str(out)]) == 0
    assert "whole run" in capsys.readouterr().out


def test_the_doctor_alone_writes_nothing_and_lists_the_largest_numbers_first(
    student, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    options = ["--steps", "1", "--guidance", "1", "--sampler", "ddim", "--json"]
    assert run_command(["export", "--doctor", str(student), *options]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["text_encoder", "text_encoder_2", "unet", "vae_decoder"]
    largest = [max(row["output"], row["inside"]) for row in found["unet"]]
    assert largest == sorted(largest, reverse=True) and not list(tmp_path.iterdir())


def test_one_thing_is_done_at_a_time(student, tmp_path, capsys):
    assert run_command(["export", str(student)]) == 2
    assert run_command(["export", str(student), "--doctor", "--out", str(tmp_path / "x")]) == 2
    assert "exactly one of --out BUNDLE, --doctor and --verify" in " ".join(
        capsys.readouterr().err.split()
    )


def test_a_folder_with_something_in_it_is_refused(student, options, tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(InputError, match="is a file or not empty already"):
        export(options(student), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_full_disk_leaves_nothing(student, options, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writing, "describe_file", full)
    with pytest.raises(DmmError, match="the disk is full"):
        export(options(student), tmp_path / "out")
    assert not list(tmp_path.iterdir())
