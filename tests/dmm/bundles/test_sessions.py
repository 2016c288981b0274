"""ONNX Runtime sessions of a bundle's parts: memory of weights in half precision."""

import numpy as np
import psutil
import pytest
from onnx import TensorProto, helper

from dmm.bundles import sessions
from dmm.bundles.schema import Part, StoredFile
from dmm.bundles.sessions import open_session, run_session, session_settings
from dmm.export.arrays import LazyArray
from dmm.export.graph import Graph
from dmm.export.writing import write_graph

SIDE, PRODUCTS = 1024, 24
WIDE_BYTES = 4 * SIDE**2 * PRODUCTS


@pytest.fixture(scope="module")
def products(tmp_path_factory):
    """A file of 24 products with weights in half precision, 2 MiB each."""
    rng = np.random.default_rng(0)
    weight = LazyArray(
        (SIDE, SIDE), np.dtype(np.float16), lambda: (rng.random((SIDE, SIDE)) / SIDE).astype("f2")
    )
    nodes = [helper.make_node("Cast", ["x"], ["v0"], to=TensorProto.FLOAT16)]
    nodes += [
        helper.make_node("MatMul", [f"v{n}", f"w{n}"], [f"v{n + 1}"]) for n in range(PRODUCTS)
    ]
    nodes += [helper.make_node("Cast", [f"v{PRODUCTS}"], ["y"], to=TensorProto.FLOAT)]
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["rows", SIDE]) for n in "xy")
    model = helper.make_model(
        helper.make_graph(nodes, "products", [x], [y]), ir_version=9,
        opset_imports=[helper.make_opsetid("", 20)],
    )  # fmt: skip
    path = tmp_path_factory.mktemp("products") / "products.onnx"
    write_graph(Graph(model, {f"w{n}": weight for n in range(PRODUCTS)}), path, 2**30)
    return path


def described(path, precision="mixed"):
    """The file as a part of a bundle."""
    shards = path.parent.glob(f"{path.name}.data-*")
    files = [
        StoredFile(file=p.name, bytes=p.stat().st_size, sha256="0" * 64) for p in (path, *shards)
    ]
    return Part(
        model=files[0], data=files[1:], precision=precision, opset=20, inputs={}, outputs={}
    )


def test_a_large_network_in_half_precision_never_has_all_weights_widened(products, monkeypatch):
    monkeypatch.setattr(sessions, "LARGE_BYTES", WIDE_BYTES // 2)
    before = psutil.Process().memory_info().rss
    session = open_session(products, **session_settings(described(products), "cpu"))
    run_session(session, {"x": np.zeros((1, SIDE), np.float32)})
    assert psutil.Process().memory_info().rss - before < 0.8 * WIDE_BYTES


def test_only_large_half_precision_on_a_cpu_is_widened_late(products, monkeypatch):
    part = described(products)
    assert session_settings(part, "cpu") == {}  # not large
    monkeypatch.setattr(sessions, "LARGE_BYTES", 2**20)
    assert session_settings(part, "cpu") and session_settings(part, "cuda") == {}
    assert session_settings(described(products, "int8"), "cpu") == {}
