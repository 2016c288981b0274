"""The doctor on a small network that is made to overflow."""

import numpy as np
import pytest
import torch
from onnx import helper
from torch import nn

from dmm.bundles.sessions import open_session
from dmm.export.doctor import diagnose
from dmm.export.emulation import emulate_half
from dmm.export.graph import Graph, trace
from dmm.export.half import LARGEST, to_half
from dmm.export.probing import open_probe
from dmm.export.rounding import LIMIT, reduce_rounding
from dmm.export.scaling import find_streams, with_scaled_streams
from dmm.export.traceable_parts import Part
from dmm.export.writing import write_graph


class Block(nn.Module):
    """Residual blocks as in a UNet: norm, SiLU, convolution; at the end a norm again."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(4, 32, 3, padding=1)
        self.norms = nn.ModuleList(nn.GroupNorm(8, 32) for _ in range(3))
        self.convs = nn.ModuleList(nn.Conv2d(32, 32, 3, padding=1) for _ in range(2))
        self.last = nn.Conv2d(32, 4, 3, padding=1)

    def forward(self, x):
        x = self.first(x)
        for norm, conv in zip(self.norms, self.convs, strict=False):
            x = x + conv(nn.functional.silu(norm(x)))
        return self.last(nn.functional.silu(self.norms[2](x)))


class LargeStream(Block):
    """The same with a large constant in each channel, which every norm removes."""

    def __init__(self):
        super().__init__()
        self.norms = nn.ModuleList(nn.GroupNorm(32, 32) for _ in range(3))
        self.constant = nn.Parameter(torch.full((1, 32, 1, 1), 2000.0))

    def forward(self, x):
        x = self.first(x) + self.constant
        for norm, conv in zip(self.norms, self.convs, strict=False):
            x = x + conv(nn.functional.silu(norm(x)))
        return self.last(nn.functional.silu(self.norms[2](x)))


class DecomposedNorm(nn.Module):
    """A layer norm of elementary operators, which squares its input."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(16, 16)

    def forward(self, x):
        x = self.linear(x)
        away = x - x.mean(-1, keepdim=True)
        return away / ((away * away).mean(-1, keepdim=True) + 1e-5).sqrt()


def part(network, *shape):
    torch.manual_seed(0)
    network = network()
    axes = {0: "batch"}
    return Part("net", network, {"x": torch.zeros(2, *shape)}, {"y": axes}, {"x": axes})


@pytest.fixture
def run(tmp_path):
    """``run(graph, x)``: what ONNX Runtime computes, without its optimisations."""

    def compute(graph, x):
        write_graph(graph, tmp_path / "net.onnx", 2**30)
        return open_session(tmp_path / "net.onnx").run(None, {"x": x})[0]

    return compute


@pytest.fixture
def overflowing(rng, tmp_path):
    """A network whose second block makes 300,000, its graph, its input, what was measured of it."""
    network = part(Block, 4, 8, 8)
    with torch.no_grad():
        network.network.convs[0].weight *= 3e5
    x = rng.normal(size=(2, 4, 8, 8)).astype(np.float32)
    graph = trace(network)
    with open_probe(graph, tmp_path) as probe:
        expected = probe({"x": x})[0]
    return graph, x, expected, probe.peaks()


def error(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def test_emulation_overflows_where_half_precision_does(overflowing, run):
    graph, x, _, _ = overflowing
    assert not np.isfinite(run(emulate_half(to_half(graph)), x)).all()


def test_a_power_of_two_mends_a_block_that_overflows(overflowing, run):
    graph, x, expected, peaks = overflowing
    plan = diagnose(graph, peaks)
    found = run(emulate_half(plan.half()), x)
    assert np.isfinite(found).all() and error(found, expected) < 5e-3
    assert {finding.remedy for finding in plan.findings if finding.operator in ("Conv", "Add")} == {
        "2^-5"
    }
    norms = [n.name for n in graph.nodes if n.op_type == "InstanceNormalization"]
    assert plan.keep == frozenset(norms)


def test_findings_are_the_largest_first_and_say_why(overflowing):
    graph, _, _, peaks = overflowing
    findings = diagnose(graph, peaks).findings
    largest = [finding.largest for finding in findings]
    assert largest == sorted(largest, reverse=True) and largest[0] > LARGEST
    assert "decomposed, its squares reach" in findings[0].why


def test_scaling_a_stream_changes_no_digit_in_single_precision(overflowing, run):
    graph, x, expected, _ = overflowing
    streams = find_streams(graph)
    powers = dict.fromkeys(streams.scalable(), 6)
    assert len(powers) >= 1
    scaled = with_scaled_streams(graph, streams, powers)
    assert scaled.weights.keys() != graph.weights.keys()
    assert np.abs(run(scaled, x) - run(graph, x)).max() <= 1e-6 * np.abs(expected).max()


def test_a_decomposed_norm_overflows_inside_and_stays_in_fp32(rng, tmp_path, run):
    network = part(DecomposedNorm, 5, 16)
    graph = trace(network)
    x = 3000 * rng.normal(size=(2, 5, 16)).astype(np.float32)
    with open_probe(graph, tmp_path) as probe:
        expected = probe({"x": x})[0]
    wrong = run(emulate_half(to_half(graph)), x)
    assert np.isfinite(wrong).all() and error(wrong, expected) > 0.5
    plan = diagnose(graph, probe.peaks())
    assert error(run(emulate_half(plan.half()), x), expected) < 5e-3
    squares = next(finding for finding in plan.findings if finding.operator == "Mul")
    assert squares.output > LARGEST and squares.remedy == "fp32"


def test_sums_that_round_too_much_stay_in_fp32(rng, tmp_path, run):
    graph = trace(part(LargeStream, 4, 8, 8))
    x = rng.normal(size=(2, 4, 8, 8)).astype(np.float32)
    with open_probe(graph, tmp_path) as probe:
        expected = probe({"x": x})[0]

    def half_error(plan):
        return error(run(emulate_half(plan.half()), x), expected)

    plan = diagnose(graph, probe.peaks())
    better = reduce_rounding(plan, probe.peaks(), half_error)
    assert half_error(plan) > 0.1 and half_error(better) < LIMIT
    added = {node.op_type for node in graph.nodes if node.name in better.keep - plan.keep}
    assert added == {"Add"} and "rounding" in str(better.findings)


def test_partial_sums_are_seen_where_the_sum_itself_is_small(tmp_path):
    """The halves of the sum are 80,000 and -80,000."""
    weight = np.full((16, 1), 10000.0, np.float32)
    weight[8:] *= -1
    graph = product_graph(weight)
    with open_probe(graph, tmp_path) as probe:
        probe({"x": np.ones((1, 16), np.float32)})
    (found,) = [a for a in probe.peaks() if a.operator == "MatMul"]
    assert found.output == 0 and found.inside == 80000
    assert diagnose(graph, probe.peaks()).keep == {"y"}


def test_weights_beyond_half_precision_keep_their_node(tmp_path):
    graph = product_graph(np.full((16, 1), 1e5, np.float32))
    with open_probe(graph, tmp_path) as probe:
        probe({"x": np.full((1, 16), 1e-3, np.float32)})
    assert diagnose(graph, probe.peaks()).keep == {"y"}


def product_graph(weight):
    """y = x @ weight."""
    from dmm.export.arrays import LazyArray

    values = [helper.make_tensor_value_info(n, 1, [1, None]) for n in ("x", "y")]
    node = helper.make_node("MatMul", ["x", "w"], ["y"], "y")
    own = helper.make_graph([node], "g", [values[0]], [values[1]])
    model = helper.make_model(own, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    return Graph(model, {"w": LazyArray(weight.shape, weight.dtype, lambda: weight)})
