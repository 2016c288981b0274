"""How far a bundle is from PyTorch in single precision: each part, and a whole sampling run."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ..bundles.folder import open_bundle
from ..bundles.player import BundlePlayer
from ..bundles.schema import Bundle, Parity
from ..bundles.sessions import open_session, run_session
from ..codec.mel import MelFormat
from ..errors import ModelError
from ..progress import progress_bar
from .emulation import emulate_half
from .reading import read_graph
from .reference import FILE, Clip, Ids, Run, Trial, compute
from .scoring import Heard, Judge
from .writing import write_graph

AGAINST = "PyTorch, fp32"
RUN, CLIPS = "whole run", "clips"
ADHERENCE_POINTS = 3.0
"""How much less than PyTorch's clips a bundle's may follow their prompts, in points of cosine."""
LIMITS = {"fp32": 1e-4, "fp16": 1e-2, "mixed": 1e-2}
"""Largest relative error of a part; int8 and int4 have none, since their loss is meant."""
LEAST_PSNR_DB = 40.0
"""Of a mel image, unless a part is int8 or int4."""
NEXT = {"fp32": "report this", "fp16": "mixed or fp32", "mixed": "fp32", "int8": "mixed",
        "int4": "int8 or mixed"}  # fmt: skip
"""The precision to try instead."""


def verify(folder: Path, judge: Judge | None = None) -> list[Parity]:
    """Compute the bundle's reference clip from its files alone and compare.

    Parts in half precision are computed with every value rounded as a GPU stores it. A ``judge``
    listens again to the clips that it heard at the export. ModelError, in one line, names a file
    that is damaged, or the first part that fails.
    """
    bundle = open_bundle(folder)
    rows = list(measure(folder, bundle, judge))
    refuse_failed(folder, bundle, rows)
    return rows


def refuse_failed(folder: Path, bundle: Bundle, rows: list[Parity]) -> None:
    """ModelError, in one line, for the first row that does not pass."""
    for row in rows:
        if row.passes:
            continue
        precision = bundle.parts[row.part].precision if row.part in bundle.parts else "mixed"
        limit = f"limit {LIMITS[precision]:g}" if precision in LIMITS else "not finite"
        if row.part == CLIPS:
            raise ModelError(
                f"{folder}: clips follow their prompts by {row.adherence} points, PyTorch's by "
                f"{row.adherence_expected} (limit {ADHERENCE_POINTS:g} less); export it again with "
                "--unet mixed"
            )
        if row.part == RUN:
            limit = f"image {row.psnr_db} dB, at least {LEAST_PSNR_DB:g} dB needed"
        raise ModelError(
            f"{folder}: {row.part} ({precision}) is {row.relative_error:.2g} from {row.against} "
            f"({limit}); export it again with {NEXT[precision]}"
        )


def measure(folder: Path, bundle: Bundle, judge: Judge | None = None) -> Iterator[Parity]:
    """A row for each part, one for the whole run, and one for what a judge hears in clips."""
    expected = Clip.load(folder / FILE)
    player = BundlePlayer(folder, "cpu")

    def ids(text: str) -> list[np.ndarray]:
        encoders = bundle.tokenizer.encoders
        return [player.tokenizer.encode(text, encoder) for encoder in encoders]

    with _Parts(folder, bundle) as parts:
        steps = expected.trial.sampling.steps
        with progress_bar("verify", steps + len(bundle.parts)) as advance:
            for name in bundle.parts:
                error = max(_errors(name, parts, ids, expected))
                limit = LIMITS.get(bundle.parts[name].precision, np.inf)
                yield _row(name, error, None, bool(error <= limit))
                advance(note=name)
            found = compute(parts, ids, expected.trial, lambda *_: advance(note=RUN))
        yield _run_row(found, expected, bundle)
        if judge:
            yield _clips_row(folder, bundle, parts, ids, expected.trial, judge)


def _run_row(found: Clip, expected: Clip, bundle: Bundle) -> Parity:
    psnr = psnr_db(found.image, expected.image)
    error = relative_error(found.latents, expected.latents)
    passes = bool(np.isfinite(error)) and (_is_coarse(bundle) or psnr >= LEAST_PSNR_DB)
    return _row(RUN, error, psnr, passes)


def _is_coarse(bundle: Bundle) -> bool:
    """Whether some part loses on purpose what no comparison of numbers forgives."""
    return any(part.precision in ("int8", "int4") for part in bundle.parts.values())


def _clips_row(
    folder: Path, bundle: Bundle, run: Run, ids: Ids, trial: Trial, judge: Judge
) -> Parity:
    """What the judge hears in the bundle's clips, beside what it heard in PyTorch's."""
    prompts, expected = _stored_clips(folder / FILE, judge.name)
    fmt = MelFormat.model_validate_json((folder / bundle.format.file).read_text(encoding="utf-8"))
    texts = [", ".join(filter(None, (bundle.anchor, prompt))) for prompt in prompts]
    trials = [replace(trial, prompt=text, seed=seed) for seed, text in enumerate(texts)]
    heard = judge.hear(run, ids, trials, fmt, prompts, "clips by the bundle")
    passes = heard.adherence >= expected.adherence - ADHERENCE_POINTS
    return Parity(
        part=CLIPS,
        against=f"{AGAINST}, heard by {judge.name}",
        adherence=round(heard.adherence, 2),
        adherence_expected=round(expected.adherence, 2),
        fad=float(f"{heard.distance(expected):.3g}"),
        clips=len(prompts),
        passes=bool(passes),
    )


def as_arrays(judge: str, prompts: Sequence[str], heard: Heard) -> dict[str, np.ndarray]:
    """What a judge heard in PyTorch's clips, to be kept in the reference."""
    return {
        "clips.judge": np.array(judge),
        "clips.prompts": np.array(prompts),
        "clips.follows": heard.follows,
        "clips.embeddings": heard.embeddings.astype(np.float16),
    }


def _stored_clips(path: Path, judge: str) -> tuple[list[str], Heard]:
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if name.startswith("clips.")}
    if not arrays:
        raise ModelError(f"{path}: no clips were heard at the export; export with --clips")
    if str(arrays["clips.judge"]) != judge:
        raise ModelError(f"{path}: its clips were heard by {arrays['clips.judge']}, not by {judge}")
    heard = Heard(arrays["clips.follows"], arrays["clips.embeddings"].astype(np.float32))
    return arrays["clips.prompts"].tolist(), heard


def _row(part: str, error: float, psnr: float | None, passes: bool) -> Parity:
    rounded = None if psnr is None else round(psnr, 2)
    shown = float(f"{error:.3g}") if np.isfinite(error) else None
    return Parity(part=part, against=AGAINST, relative_error=shown, psnr_db=rounded, passes=passes)


def _errors(name: str, run: Run, ids: Ids, expected: Clip) -> Iterator[float]:
    """Relative errors of a part's outputs for what the reference gave it."""
    for inputs, wanted in expected.calls(name, ids):
        for found, output in zip(run(name, inputs), wanted, strict=True):
            yield relative_error(found, output)


class _Parts:
    """A bundle's parts in ONNX Runtime, half precision emulated; calling runs one."""

    def __init__(self, folder: Path, bundle: Bundle) -> None:
        self.folder, self.bundle = folder, bundle
        self._sessions: dict[str, object] = {}

    def __enter__(self) -> "_Parts":
        self._emulated = TemporaryDirectory(dir=self.folder.parent, prefix=".verify-")
        return self

    def __exit__(self, *_: object) -> None:
        self._sessions.clear()
        self._emulated.cleanup()

    def __call__(self, name: str, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        if name not in self._sessions:
            self._sessions[name] = self._open(name)
        return run_session(self._sessions[name], inputs)

    def _open(self, name: str) -> object:
        part = self.bundle.parts[name]
        path = self.folder / part.model.file
        if part.precision not in ("fp16", "mixed"):
            return open_session(path)
        emulated = Path(self._emulated.name) / path.name
        write_graph(emulate_half(read_graph(path)), emulated, 2**40)
        return open_session(emulated)


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """||found - expected|| / ||expected||; infinite where what was found is not finite."""
    if not np.isfinite(found).all():
        return float("inf")
    difference = np.linalg.norm(found.astype(np.float64) - expected)
    return float(difference / np.linalg.norm(expected.astype(np.float64)))


def psnr_db(found: np.ndarray, expected: np.ndarray) -> float:
    """Peak signal-to-noise ratio of 8-bit images; 100 dB for equal ones.

    >>> round(psnr_db(np.full((2, 2), 1), np.zeros((2, 2))), 2)
    48.13
    """
    error = np.square(found.astype(np.float64) - expected).mean()
    return min(100.0, float(10 * np.log10(255**2 / error))) if error else 100.0
