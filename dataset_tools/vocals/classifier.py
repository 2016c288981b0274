"""Audio classifiers that give each window a probability of vocals; found by name.

An ONNX file fits if it takes float32 waveforms (n, samples), gives probabilities (n,), and names
its sampling rate in Hz as ``sample_rate`` in its metadata. A fixed number of samples is its frame;
where the file leaves it open, frames are as long as ``FRAME_S``.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from dmm.cards import verify_card
from dmm.errors import InputError, ModelError
from dmm.files import sha256_file

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

SHIPPED = Path(__file__).resolve().parents[2] / "models" / "nano-vocals" / "nano-vocals.onnx"
KNOWN = "nano (shipped), none, clap:FOLDER (a CLAP model's folder), or FILE.onnx"
LEAST_S = 1.0
FRAME_S = 2.0
"""Frame of a model that takes any length."""
FRAME_EVERY_S = 1.1
"""Frames overlap so that they begin at most this far apart."""
LOUDEST_FRAMES = 2
BATCH = 32


@runtime_checkable
class VocalClassifier(Protocol):
    """Hears whether somebody sings, raps or speaks."""

    name: str
    version: str
    """Beginning of the SHA-256 of what it was loaded from."""

    def probabilities(
        self, windows: Float[np.ndarray, "n samples"], sr: int
    ) -> Float[np.ndarray, " n"]:
        """Probability of vocals in each mono window of a second or more."""
        ...


def load_classifier(name: str) -> VocalClassifier | None:
    """The classifier of a name, None for "none".

    InputError for a name that is none of those known, ModelError for a file that does not fit.
    """
    if name == "none":
        return None
    if name.startswith("clap:"):
        from .zero_shot import load_zero_shot

        return load_zero_shot(Path(name.removeprefix("clap:")))
    path = SHIPPED if name == "nano" else Path(name)
    if path.suffix != ".onnx":
        raise InputError(f"no vocal classifier {name!r}; known: {KNOWN}")
    if not path.is_file():
        raise InputError(f"{path}: no such file; vocal classifiers known: {KNOWN}")
    return _open(path.resolve(), name if name == "nano" else path.name)


@cache
def _open(path: Path, name: str) -> "OnnxClassifier":
    return OnnxClassifier(path, name)


class OnnxClassifier:
    """A classifier in an ONNX file; it uses one thread, for worker processes share the machine.

    A window's probability is the mean of its two most vocal frames: a voice need not sing all the
    time, yet a single doubtful frame shall not decide. A window as short as a frame has one.
    """

    def __init__(self, path: Path, name: str) -> None:
        verify_card(path)
        self.name, self.version = name, sha256_file(path)[:12]
        self._session = _session(path)
        self._input, self._sr, self._frame = _contract(self._session, path)

    def probabilities(
        self, windows: Float[np.ndarray, "n samples"], sr: int
    ) -> Float[np.ndarray, " n"]:
        """As the protocol says. ValueError for windows under a second."""
        if windows.shape[1] < LEAST_S * sr:
            raise ValueError(f"windows of {windows.shape[1] / sr:.2f} s; 1 s or more are needed")
        if not len(windows):
            return np.zeros(0)
        frames = np.stack([self._frames(window, sr) for window in windows])
        heard = self._run(frames.reshape(-1, self._frame)).reshape(len(windows), -1)
        return np.sort(heard, axis=1)[:, -LOUDEST_FRAMES:].mean(1)

    def _frames(self, window: Float[np.ndarray, " samples"], sr: int) -> np.ndarray:
        """(frames, samples) at the model's rate, evenly spread; a short window is repeated."""
        import soxr

        sound = np.asarray(window, np.float32)
        if sr != self._sr:
            sound = soxr.resample(sound, sr, self._sr).astype(np.float32)
        if len(sound) < self._frame:
            return np.resize(sound, (1, self._frame))
        room = len(sound) - self._frame
        count = 1 + int(np.ceil(room / (FRAME_EVERY_S * self._sr)))
        starts = np.linspace(0, room, count).round().astype(int)
        return np.stack([sound[start : start + self._frame] for start in starts])

    def _run(self, frames: Float[np.ndarray, "n samples"]) -> Float[np.ndarray, " n"]:
        parts = [
            self._session.run(None, {self._input: np.ascontiguousarray(frames[i : i + BATCH])})[0]
            for i in range(0, len(frames), BATCH)
        ]
        return np.concatenate([np.asarray(part, np.float64).reshape(-1) for part in parts])


def _session(path: Path) -> "InferenceSession":
    """The file opened on one processor thread."""
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as runtime  # pyright: ignore

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except (runtime.Fail, runtime.InvalidGraph, runtime.InvalidProtobuf) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"{path}: no ONNX model that runs here ({reason})") from error


def _contract(session: "InferenceSession", path: Path) -> tuple[str, int, int]:
    """Input's name, sampling rate and samples of a frame; ModelError if it is another kind."""
    inputs = session.get_inputs()
    shapes = [f"{i.type}{i.shape}" for i in inputs]
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 2:
        raise ModelError(
            f"{path}: takes {', '.join(shapes)}; a vocal classifier takes one float32 waveform "
            "[n, samples]"
        )
    written = session.get_modelmeta().custom_metadata_map.get("sample_rate", "")
    if not written.isdigit() or not 8000 <= int(written) <= 192_000:
        raise ModelError(
            f"{path}: its metadata gives sample_rate {written!r}; add it in Hz, such as 16000"
        )
    batch, samples = inputs[0].shape
    if isinstance(batch, int):
        raise ModelError(f"{path}: takes batches of {batch} alone; export it for any number")
    return (
        inputs[0].name,
        int(written),
        samples if isinstance(samples, int) else int(FRAME_S * int(written)),
    )
