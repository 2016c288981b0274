"""Read a bundle's part as a graph; weights stay on disk until they are needed."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, external_data_helper, helper

from .arrays import LazyArray
from .graph import Graph


def read_graph(path: Path) -> Graph:
    """The graph in an ONNX file; arrays that lie in shards beside it are its weights."""
    model = onnx.load(path, load_external_data=False)
    weights = {}
    for tensor in [t for t in model.graph.initializer if t.data_location == TensorProto.EXTERNAL]:
        weights[tensor.name] = _lazy_array(tensor, path.parent)
        model.graph.initializer.remove(tensor)
    return Graph(model, weights)


def _lazy_array(tensor: TensorProto, folder: Path) -> LazyArray:
    place = external_data_helper.ExternalDataInfo(tensor)
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
    shape = tuple(tensor.dims)

    def load() -> np.ndarray:
        count = int(np.prod(shape, dtype=np.int64))
        file = folder / place.location
        return np.fromfile(file, dtype, count, offset=place.offset or 0).reshape(shape)

    return LazyArray(shape, dtype, load)
