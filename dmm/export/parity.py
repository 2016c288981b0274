"""Parity: how far a bundle is from PyTorch in fp32, for each part and a whole sampling run."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..bundles.bundle_player import BundlePlayer
from ..bundles.folder import open_bundle
from ..bundles.schema import Bundle, Parity, Precision
from ..bundles.sessions import open_session, run_session
from ..codec.mel import MelFormat
from ..errors import ModelError
from ..files import read_json
from ..progress import progress_bar
from .comparing import psnr_db, relative_error
from .emulation import emulate_half
from .reading import read_graph
from .reference import FILE, RecordedClip, RunPart, SamplingRun, TokenIds, sample_clip
from .running import RunGraph, open_graph
from .scoring import ClipScorer, ClipScores

AGAINST = "PyTorch, fp32"
RUN, CLIPS = "whole run", "clips"
ADHERENCE_POINTS = 3.0
"""Largest loss of adherence against PyTorch's clips, in points (cosine times 100)."""
LIMITS = {"fp32": 1e-4, "fp16": 1e-2, "mixed": 1e-2}
"""Largest relative error of a part; int8 and int4 have none, because they lose by design."""
LEAST_PSNR_DB = 40.0
"""Of the mel image, unless a part is int8 or int4."""
REMEDY = {
    "fp32": "report it, with the checkpoint's sizes", "fp16": "export it again with mixed or fp32",
    "mixed": "export it again with fp32", "int8": "export it again with mixed",
    "int4": "export it again with int8 or mixed",
}  # fmt: skip
"""What to do about a part that fails, by its precision."""


def verify(folder: Path, scorer: ClipScorer | None = None) -> list[Parity]:
    """Compute the bundle's reference clip again from its files alone and compare.

    A ``scorer`` also generates and scores the clips that were scored at the export. ModelError, in
    one line, names a damaged file, or the first part that fails.
    """
    bundle = open_bundle(folder)
    rows = list(measure_parity(folder, bundle, scorer))
    raise_on_failure(folder, bundle, rows)
    return rows


def raise_on_failure(folder: Path, bundle: Bundle, rows: list[Parity]) -> None:
    """ModelError, in one line, for the first row that does not pass."""
    for row in rows:
        if row.passes:
            continue
        if row.part == CLIPS:
            raise ModelError(
                f"{folder}: adherence of its clips is {row.adherence}, PyTorch's "
                f"{row.adherence_expected} (limit {ADHERENCE_POINTS:g} less); export it again with "
                "--unet mixed"
            )
        precision = row.precision or "mixed"
        limit = f"limit {LIMITS[precision]:g}" if precision in LIMITS else "must be finite"
        if row.part == RUN:
            limit = f"mel image {row.psnr_db} dB, at least {LEAST_PSNR_DB:g} dB needed"
        error = "not finite" if row.relative_error is None else f"{row.relative_error:.2g}"
        raise ModelError(
            f"{folder}: {row.part} ({precision}): relative error to {row.against} is {error} "
            f"({limit}); {REMEDY[precision]}"
        )


def measure_parity(
    folder: Path, bundle: Bundle, scorer: ClipScorer | None = None
) -> Iterator[Parity]:
    """A row for each part, one for the whole run, and with a scorer one for clips.

    Half precision is emulated: every value is rounded as a GPU stores it.
    """
    expected = RecordedClip.load(folder / FILE)
    scored = _stored_scores(folder / FILE, scorer.name) if scorer else None
    player = BundlePlayer(folder, "cpu")

    def ids(text: str) -> list[np.ndarray]:
        encoders = bundle.tokenizer.encoders
        return [player.tokenizer.encode(text, encoder) for encoder in encoders]

    with _OpenedParts(folder, bundle) as parts:
        steps = expected.sampling_run.sampling.steps
        with progress_bar("verify", steps + len(bundle.parts)) as advance:
            for name, part in bundle.parts.items():
                yield part_row(name, part.precision, max(_errors(name, parts, ids, expected)))
                advance(note=name)
            found = sample_clip(parts, ids, expected.sampling_run, lambda *_: advance(note=RUN))
        yield _run_row(found, expected, bundle)
        if scorer and scored:
            yield _clips_row(folder, bundle, parts, ids, expected.sampling_run, scorer, *scored)


def part_row(name: str, precision: Precision, error: float) -> Parity:
    """The row of one part computed in a precision."""
    passes = error <= LIMITS.get(precision, np.finfo(np.float32).max)
    return Parity(
        part=name, precision=precision, against=AGAINST, relative_error=_three_digits(error),
        passes=bool(passes),
    )  # fmt: skip


def _run_row(found: RecordedClip, expected: RecordedClip, bundle: Bundle) -> Parity:
    psnr = psnr_db(found.image, expected.image)
    error = relative_error(found.latents, expected.latents)
    is_lossy = any(part.precision in ("int8", "int4") for part in bundle.parts.values())
    passes = bool(np.isfinite(error)) and (is_lossy or psnr >= LEAST_PSNR_DB)
    return Parity(
        part=RUN, against=AGAINST, relative_error=_three_digits(error), psnr_db=round(psnr, 2),
        passes=passes,
    )  # fmt: skip


def _three_digits(error: float) -> float | None:
    """Three digits, which JSON can hold; None where it is not finite."""
    return float(f"{error:.3g}") if np.isfinite(error) else None


def _clips_row(
    folder: Path,
    bundle: Bundle,
    run: RunPart,
    ids: TokenIds,
    sampling_run: SamplingRun,
    scorer: ClipScorer,
    prompts: list[str],
    expected: ClipScores,
) -> Parity:
    """Adherence of the bundle's clips beside that of PyTorch's, and FAD between both."""
    fmt = read_json(folder / bundle.format.file, MelFormat)
    texts = [", ".join(filter(None, (bundle.anchor, prompt))) for prompt in prompts]
    sampling_runs = [
        replace(sampling_run, prompt=text, seed=seed) for seed, text in enumerate(texts)
    ]
    found = scorer.score(run, ids, sampling_runs, fmt, prompts, "clips by the bundle")
    passes = found.adherence >= expected.adherence - ADHERENCE_POINTS
    return Parity(
        part=CLIPS,
        against=f"{AGAINST}, by {scorer.name}",
        adherence=round(found.adherence, 2),
        adherence_expected=round(expected.adherence, 2),
        fad=float(f"{found.fad(expected):.3g}"),
        clips=len(prompts),
        passes=bool(passes),
    )


def scores_as_arrays(
    embedder: str, prompts: Sequence[str], scores: ClipScores
) -> dict[str, np.ndarray]:
    """Scores of PyTorch's clips, to be stored in the reference."""
    return {
        "clips.embedder": np.array(embedder),
        "clips.prompts": np.array(prompts),
        "clips.similarities": scores.similarities,
        "clips.embeddings": scores.embeddings.astype(np.float16),
    }


def _stored_scores(path: Path, embedder: str) -> tuple[list[str], ClipScores]:
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if name.startswith("clips.")}
    if not arrays:
        raise ModelError(f"{path}: the export scored no clips; export again with --clips")
    if str(arrays["clips.embedder"]) != embedder:
        raise ModelError(
            f"{path}: its clips were scored by {arrays['clips.embedder']}, not by {embedder}"
        )
    embeddings = arrays["clips.embeddings"].astype(np.float32)
    return arrays["clips.prompts"].tolist(), ClipScores(arrays["clips.similarities"], embeddings)


def _errors(name: str, run: RunPart, ids: TokenIds, expected: RecordedClip) -> Iterator[float]:
    """Relative errors of a part's outputs for the reference's inputs."""
    for inputs, outputs in expected.calls(name, ids):
        for found, output in zip(run(name, inputs), outputs, strict=True):
            yield relative_error(found, output)


class _OpenedParts:
    """A bundle's parts in ONNX Runtime, half precision emulated; calling it runs one."""

    def __init__(self, folder: Path, bundle: Bundle) -> None:
        self.folder, self.bundle = folder, bundle
        self._stack = ExitStack()
        self._opened: dict[str, RunGraph] = {}

    def __enter__(self) -> "_OpenedParts":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __call__(self, name: str, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        if name not in self._opened:
            self._opened[name] = self._open(name)
        return self._opened[name](inputs)

    def _open(self, name: str) -> RunGraph:
        part = self.bundle.parts[name]
        path = self.folder / part.model.file
        if part.precision in ("fp16", "mixed"):
            emulated = emulate_half(read_graph(path))
            return self._stack.enter_context(open_graph(emulated, self.folder.parent))
        session = open_session(path, lean=True)
        return lambda inputs: run_session(session, inputs)
