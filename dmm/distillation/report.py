"""The report of ``dmm distill all``: teacher and student with the same prompts and seeds.

It is the page of ``dmm eval report`` with the teacher's clips as its baseline, and two more tables:
costs of both models, and the student's errors by timestep.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..generation.generate import generate
from ..generation.loading import Lora
from ..generation.settings import resolve_settings
from ..pretraining.nano import load_captions_and_anchor
from ..registry import default_embedder, load_embedder, load_report_writer
from .embedding_table import EmbeddingTable
from .examples import Examples
from .model_cost import cost_table_rows, errors_by_timestep, model_cost
from .noise_schedule import NoiseSchedule
from .teacher import Teacher
from .training_clips import TrainingClips, clips_from_dataset

SEEDS = 2
"""Clips of each prompt."""
COMPARED = 32
"""Clips for the errors by timestep."""


@dataclass(frozen=True)
class ReportOptions:
    """Embedder and prompts of the report."""

    embedder: str | None = None
    """None chooses by the weights, else nano-clap."""
    weights: Path | None = None
    prompts: int = 16
    """Number of captions of the test split to use as prompts."""


def write_report(
    teacher: Teacher,
    student: Path,
    unguided: Path,
    dataset: Path | None,
    out: Path,
    options: ReportOptions,
    seed: int = 0,
) -> Path:
    """Generate clips with both models and write ``report/report.html`` below ``out``.

    ``unguided`` is the student before few-step distillation, whose predictions are compared with
    the teacher's. InputError for a dataset without a test split.
    """
    if dataset is None:
        raise InputError("a report needs real clips: name a --dataset")
    texts, _ = load_captions_and_anchor(dataset, "test")
    if not texts:
        raise InputError(f"{dataset}: its test split is empty; build it with --test 0.1")
    asked = list(dict.fromkeys(texts))[: options.prompts]
    before = _generate_clips(asked, teacher.checkpoint, teacher.loras, out / "clips-teacher", seed)
    after = _generate_clips(asked, student, (), out / "clips-student", seed)
    fmt = teacher.settings.fmt
    weights = [
        (name, model_cost(model, sampling, fmt.n_mels, fmt.n_frames))
        for name, model, sampling in (
            ("teacher", teacher.checkpoint, teacher.settings.sampling),
            ("student", student, resolve_settings(student).sampling),
        )
    ]
    tables = [
        ("Teacher and student", cost_table_rows(weights)),
        ("The student's error to its teacher's guided prediction, by timestep",
         _error_by_timestep_table(teacher, unguided, dataset, out, seed)),
    ]  # fmt: skip
    name = options.embedder or default_embedder(options.weights)
    embedder = load_embedder(name, options.weights)
    load_report_writer()(after, dataset, out / "report", embedder, before, tables=tables)
    return out / "report" / "report.html"


def _generate_clips(
    texts: Sequence[str], model: Path, loras: tuple[Lora, ...], folder: Path, seed: int
) -> Path:
    """A CLIPS folder with these prompts, by the model's default sampling."""
    generate(texts, model, folder, loras, count=SEEDS, seed=seed, anchor="", overwrite=True)
    return folder


def _error_by_timestep_table(
    teacher: Teacher, unguided: Path, dataset: Path, out: Path, seed: int
) -> list[tuple[str, ...]]:
    state = out / "parts" / "report.state"
    clips = clips_from_dataset(teacher, dataset, 1, state, seed, split="test")
    count = min(COMPARED, len(clips.latents))
    clips = TrainingClips(clips.latents[:count], clips.texts[:count])
    table_ = EmbeddingTable(teacher, [texts[0] for texts in clips.texts], state)
    guidance = teacher.settings.sampling.guidance
    examples = Examples(clips, table_, NoiseSchedule.of(teacher.prediction_type), guidance, seed)
    student = Teacher(unguided, (), teacher.compute)
    found = errors_by_timestep(student, teacher, examples, count)
    head = ("timestep", *map(str, found))
    return [head, ("share of the prediction's size", *(f"{x:.3f}" for x in found.values()))]
