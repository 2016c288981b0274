"""A bundle of a few kilobytes: real signatures, networks of one line, half a second of sound."""

import hashlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from dmm.bundles.schema import FILE, Bundle
from dmm.checkpoints.tokenizers import ensure_tokenizer_folder
from dmm.codec.mel import MelFormat

FORMAT = MelFormat(
    name="toy", sr=8000, hop_length=64, win_length=256, n_fft=384, n_mels=64, n_frames=64,
    fmax=4000.0,
)  # fmt: skip
VOCABULARY, WIDTH, CHANNELS, CELLS, HIDDEN = 1024, 8, 4, 8, 16
SCHEDULE = {
    "train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012,
    "beta_schedule": "scaled_linear", "timestep_spacing": "leading", "steps_offset": 1,
}  # fmt: skip


def write_toy_bundle(folder: Path, name: str = "toy", seed: int = 0, **change) -> Path:
    """Write the bundle; ``change`` replaces fields of its description."""
    rng = np.random.default_rng(seed)
    (folder / "tokenizer").mkdir(parents=True)
    parts = {
        part: _write_part(folder, part, nodes, weights(rng), inputs, outputs)
        for part, (nodes, weights, inputs, outputs) in _NETWORKS.items()
    }
    merges = next(ensure_tokenizer_folder(VOCABULARY).iterdir()) / "merges.txt"
    (folder / "tokenizer" / "merges.txt").write_bytes(merges.read_bytes())
    (folder / "mel.json").write_text(FORMAT.model_dump_json())
    encoder = {"vocab_size": VOCABULARY, "bos": VOCABULARY - 2, "eos": VOCABULARY - 1}
    description = {
        "version": 1,
        "name": name,
        "architecture": "sdxl",
        "parts": parts,
        "tokenizer": {
            "merges": _stored(folder, "tokenizer/merges.txt"),
            "encoders": [encoder | {"pad": VOCABULARY - 1}, encoder | {"pad": 0}],
        },
        "sampling": {
            "sampler": "euler", "steps": 4, "guidance": 2.0, "prediction_type": "v_prediction",
            "schedule": SCHEDULE,
        },
        "latent": {
            "channels": CHANNELS, "rows": CELLS, "columns": CELLS, "factor": 8,
            "scaling_factor": 1.0,
        },
        "format": _stored(folder, "mel.json"),
        "prompts": ["piano, slow", "organ, fast"],
        "licences": {"base": "Apache-2.0", "loras": [], "music": ["CC0"]},
        "source": {"checkpoint_sha256": "0" * 64, "loras": [], "dmm_version": "0.1"},
        **change,
    }  # fmt: skip
    (folder / FILE).write_text(Bundle.model_validate(description).model_dump_json(indent=1))
    return folder


def _stored(folder: Path, name: str) -> dict[str, object]:
    data = (folder / name).read_bytes()
    return {"file": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _write_part(folder, part, nodes, weights, inputs, outputs):
    """One ONNX graph with its weights in a file beside it."""

    def value(name, shape):
        kind = TensorProto.INT32 if name == "input_ids" else TensorProto.FLOAT
        return helper.make_tensor_value_info(name, kind, shape)

    graph = helper.make_graph(
        [helper.make_node(op, taken, made, **settings) for op, taken, made, settings in nodes],
        part,
        [value(*item) for item in inputs.items()],
        [value(*item) for item in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    data = f"{part}.onnx.data-00000"
    onnx.save_model(
        model, folder / f"{part}.onnx", save_as_external_data=True, location=data, size_threshold=64
    )
    onnx.checker.check_model(folder / f"{part}.onnx")

    def signature(values):
        return {
            name: {"dtype": "int32" if name == "input_ids" else "float32", "shape": shape}
            for name, shape in values.items()
        }

    return {
        "model": _stored(folder, f"{part}.onnx"),
        "data": [_stored(folder, data)],
        "precision": "fp32",
        "opset": 18,
        "inputs": signature(inputs),
        "outputs": signature(outputs),
    }


def _normal(rng, *shape, scale=1.0):
    return (scale * rng.standard_normal(shape)).astype(np.float32)


_LATENT = ["batch", CHANNELS, "rows", "columns"]
_EMBED = [("Gather", ["words", "input_ids"], ["hidden"], {})]
_NETWORKS = {
    "text_encoder": (
        _EMBED,
        lambda rng: {"words": _normal(rng, VOCABULARY, WIDTH)},
        {"input_ids": ["batch", 77]},
        {"hidden": ["batch", 77, WIDTH]},
    ),
    "text_encoder_2": (
        [*_EMBED, ("ReduceMean", ["hidden", "places"], ["pooled"], {"keepdims": 0})],
        lambda rng: {"words": _normal(rng, VOCABULARY, WIDTH), "places": np.array([1])},
        {"input_ids": ["batch", 77]},
        {"hidden": ["batch", 77, WIDTH], "pooled": ["batch", WIDTH]},
    ),
    "unet": (
        [
            ("Conv", ["sample", "in", "bias"], ["wide"], {"pads": [1, 1, 1, 1]}),
            ("ReduceMean", ["context", "places"], ["asked"], {"keepdims": 0}),
            ("MatMul", ["asked", "words"], ["said"], {}),
            ("MatMul", ["pooled", "whole"], ["meant"], {}),
            ("MatMul", ["time_ids", "sizes"], ["sized"], {}),
            ("Mul", ["timestep", "late"], ["when"], {}),
            ("Sum", ["said", "meant", "sized", "when"], ["shift"], {}),
            ("Unsqueeze", ["shift", "last"], ["spread"], {}),
            ("Add", ["wide", "spread"], ["moved"], {}),
            ("Tanh", ["moved"], ["bent"], {}),
            ("Conv", ["bent", "out"], ["prediction"], {"pads": [1, 1, 1, 1]}),
        ],
        lambda rng: {
            "in": _normal(rng, HIDDEN, CHANNELS, 3, 3, scale=0.15),
            "bias": _normal(rng, HIDDEN, scale=0.1),
            "out": _normal(rng, CHANNELS, HIDDEN, 3, 3, scale=0.1),
            "words": _normal(rng, 2 * WIDTH, HIDDEN),
            "whole": _normal(rng, WIDTH, HIDDEN),
            "sizes": _normal(rng, 6, HIDDEN, scale=1e-3),
            "late": _normal(rng, 1, HIDDEN, scale=1e-3),
            "places": np.array([1]),
            "last": np.array([2, 3]),
        },
        {
            "sample": _LATENT, "timestep": ["timesteps"], "context": ["batch", 77, 2 * WIDTH],
            "pooled": ["batch", WIDTH], "time_ids": ["batch", 6],
        },
        {"prediction": _LATENT},
    ),
    "vae_decoder": (
        [
            ("Conv", ["latents", "mix", "level"], ["cells"], {}),
            ("DepthToSpace", ["cells"], ["picture"], {"blocksize": 8, "mode": "CRD"}),
            ("Tanh", ["picture"], ["image"], {}),
        ],
        lambda rng: {
            "mix": _normal(rng, 3 * 64, CHANNELS, 1, 1, scale=0.3),
            "level": np.full(3 * 64, -0.3, np.float32),
        },
        {"latents": _LATENT},
        {"image": ["batch", 3, "height", "width"]},
    ),
}  # fmt: skip
"""Part: nodes, weights, inputs, outputs. Every input changes the prediction."""
