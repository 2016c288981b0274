"""Audio classifiers that give each window a probability of vocals; loaded by name.

An ONNX file can be used if it takes float32 waveforms (n, samples), returns probabilities (n,), and
gives its sampling rate in Hz as ``sample_rate`` in its metadata. If its number of samples is fixed,
that is the frame length; otherwise frames are ``FRAME_S`` long.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from dmm.errors import InputError, ModelError
from dmm.files import sha256_file
from dmm.model_cards import verify_against_card

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

SHIPPED = Path(__file__).resolve().parents[2] / "models" / "nano-vocals" / "nano-vocals.onnx"
KNOWN = "nano (shipped), none, clap:FOLDER (a CLAP model's folder), or FILE.onnx"
MIN_WINDOW_S = 1.0
FRAME_S = 2.0
"""Frame length for a model that takes any length."""
MAX_FRAME_HOP_S = 1.1
"""Frames begin at most this far apart."""
MOST_VOCAL_FRAMES = 2
"""A window's probability is the mean of this many of its most vocal frames."""
BATCH = 32


@runtime_checkable
class VocalClassifier(Protocol):
    """Gives the probability that somebody sings, raps or speaks in a window."""

    name: str
    version: str
    """Identifies the weights; another version may give other probabilities."""

    def probabilities(
        self, windows: Float[np.ndarray, "n samples"], sr: int
    ) -> Float[np.ndarray, " n"]:
        """Probability of vocals in each mono window of a second or more."""
        ...


def load_classifier(name: str) -> VocalClassifier | None:
    """Load the named classifier; None for "none".

    InputError for an unknown name or a missing file, ModelError for a file that is no classifier.
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
    return _load_cached(path.resolve(), name if name == "nano" else path.name)


@cache
def _load_cached(path: Path, name: str) -> "OnnxClassifier":
    return OnnxClassifier(path, name)


class OnnxClassifier:
    """A classifier in an ONNX file; it uses one thread, because worker processes share the machine.

    A window's probability is the mean of its two most vocal frames: a voice rarely sounds all the
    time, and one doubtful frame must not decide. A window no longer than a frame has one frame.
    """

    def __init__(self, path: Path, name: str) -> None:
        verify_against_card(path)
        self.name, self.version = name, sha256_file(path)[:12]
        self._session = _open_session(path)
        self._input, self._sr, self._frame = _checked_inputs(self._session, path)

    def probabilities(
        self, windows: Float[np.ndarray, "n samples"], sr: int
    ) -> Float[np.ndarray, " n"]:
        """Probability of vocals in each mono window; ValueError for windows under a second."""
        if windows.shape[1] < MIN_WINDOW_S * sr:
            raise ValueError(f"windows of {windows.shape[1] / sr:.2f} s; 1 s or more are needed")
        if not len(windows):
            return np.zeros(0)
        frames = np.stack([self._split_into_frames(window, sr) for window in windows])
        vocal = self._run_in_batches(frames.reshape(-1, self._frame)).reshape(len(windows), -1)
        return np.sort(vocal, axis=1)[:, -MOST_VOCAL_FRAMES:].mean(1)

    def _split_into_frames(self, window: Float[np.ndarray, " samples"], sr: int) -> np.ndarray:
        """Resample a window and cut it into even frames (frames, samples); repeat a short one."""
        import soxr

        sound = np.asarray(window, np.float32)
        if sr != self._sr:
            sound = soxr.resample(sound, sr, self._sr).astype(np.float32)
        if len(sound) < self._frame:
            return np.resize(sound, (1, self._frame))
        room = len(sound) - self._frame
        count = 1 + int(np.ceil(room / (MAX_FRAME_HOP_S * self._sr)))
        starts = np.linspace(0, room, count).round().astype(int)
        return np.stack([sound[start : start + self._frame] for start in starts])

    def _run_in_batches(self, frames: Float[np.ndarray, "n samples"]) -> Float[np.ndarray, " n"]:
        """The network's probabilities, in batches."""
        parts = [
            self._session.run(None, {self._input: np.ascontiguousarray(frames[i : i + BATCH])})[0]
            for i in range(0, len(frames), BATCH)
        ]
        return np.concatenate([np.asarray(part, np.float64).reshape(-1) for part in parts])


def _open_session(path: Path) -> "InferenceSession":
    """Open an ONNX file for one processor thread; ModelError if it cannot run."""
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as runtime  # pyright: ignore

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except (runtime.Fail, runtime.InvalidGraph, runtime.InvalidProtobuf) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"{path}: no ONNX model that runs here ({reason})") from error


def _checked_inputs(session: "InferenceSession", path: Path) -> tuple[str, int, int]:
    """Name of the input, sampling rate (Hz) and frame length (samples); ModelError if unusable."""
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
