"""``dmm bench minimidi``: evaluate a model on prompts for which real MiniMIDI pieces are known.

All rows come from one run, by the same judges and the same embedder. Baselines are real clips, the
same clips through the model's VAE, the model's clips with shuffled prompts, and an untrained UNet.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from dataset_tools.sources.minimidi import Piece, Prompt
from dmm.checkpoints.header import read_metadata
from dmm.codec.mel import MelFormat, load_format
from dmm.embedders import Embedder
from dmm.generation.generate import generate
from dmm.generation.sampling import Sampling
from eval.clips import embed_files
from eval.listening.adherence import Adherence, adherence
from eval.listening.judges import Judges
from eval.metrics.diversity import distance_within_each_prompt, mean_cosine_distance
from eval.metrics.fad import frechet_distance

from .baselines import write_rendered_pieces, write_untrained_model, write_vae_round_trips
from .cases import BenchCase

UNTRAINED = Sampling(steps=2)
"""An untrained UNet makes noise at any number of steps, so few are enough."""


@dataclass(frozen=True)
class TableRow:
    """One line of the table; None where a score has no meaning."""

    name: str
    clips: int
    adherence: Adherence
    fad: float | None = None
    """Fréchet distance to the reference clips."""
    diversity: float | None = None
    per_prompt: float | None = None
    """Diversity among the clips of one prompt."""


@dataclass(frozen=True)
class Evaluator:
    """Judges, embedder and reference that all clips are scored by."""

    judges: Judges
    embedder: Embedder
    prompts: list[Prompt]
    """The prompt of each clip."""
    reference: Float[np.ndarray, "n dim"]

    def score_clips(self, name: str, files: Sequence[Path]) -> TableRow:
        """Score clips by their prompts and the reference."""
        rows = embed_files(files, self.embedder).rows
        return TableRow(
            name,
            len(files),
            adherence(self.judges.probabilities_of_files(files), self.prompts),
            frechet_distance(rows, self.reference),
            mean_cosine_distance(rows),
            float(np.mean(list(distance_within_each_prompt(rows, self.prompts).values()))),
        )

    def score_shuffled_prompts(self, files: Sequence[Path]) -> TableRow:
        """Score clips by other clips' prompts: adherence by chance."""
        order = np.random.default_rng(0).permutation(len(self.prompts))
        shuffled = [self.prompts[i] for i in order]
        found = adherence(self.judges.probabilities_of_files(files), shuffled)
        return TableRow("shuffled prompts", len(files), found)


@dataclass(frozen=True)
class EvaluatedModel:
    """The model, perhaps with a LoRA, and its sampling settings."""

    model: Path
    lora: Path | None
    sampling: Sampling
    batch_size: int

    @property
    def fmt(self) -> MelFormat:
        """Mel format that the model was trained on."""
        return load_format(read_metadata(self.model).get("dmm_format", "nano"))


def evaluate_with_baselines(
    evaluated: EvaluatedModel, cases: list[BenchCase], judges: Judges, embedder: Embedder, out: Path
) -> list[TableRow]:
    """All rows for the prompts of ``cases``; clips below ``out`` are kept and made only once."""
    seeds, fmt = len(cases[0].real), evaluated.fmt
    turns = [(case, turn) for turn in range(seeds) for case in cases]  # the order of ``generate``
    real = write_rendered_pieces([case.real[turn] for case, turn in turns], out / "real", fmt.sr)
    others: list[Piece] = [case.reference[turn] for case, turn in turns]
    reference = embed_files(write_rendered_pieces(others, out / "reference", fmt.sr), embedder).rows
    evaluator = Evaluator(judges, embedder, [case.prompt for case, _ in turns], reference)
    texts = [case.prompt.text for case in cases]

    def made(folder: str, model: Path, lora: Path | None, sampling: Sampling) -> list[Path]:
        batch_size = evaluated.batch_size
        return generate(
            texts, model, out / folder, lora or (), count=seeds, batch_size=batch_size,
            overwrite=True, **asdict(sampling),
        )  # fmt: skip

    ours = made("model", evaluated.model, None, evaluated.sampling)
    rows = [evaluator.score_clips("model", ours)]
    if evaluated.lora:
        with_lora = made("lora", evaluated.model, evaluated.lora, evaluated.sampling)
        rows.append(evaluator.score_clips("model with LoRA", with_lora))
    untrained = write_untrained_model(evaluated.model, out / "untrained.safetensors")
    return [
        *rows,
        evaluator.score_clips("real clips", real),
        evaluator.score_clips(
            "real clips after the VAE",
            write_vae_round_trips(real, out / "vae", evaluated.model, fmt),
        ),
        evaluator.score_shuffled_prompts(ours),
        evaluator.score_clips("untrained UNet", made("untrained", untrained, None, UNTRAINED)),
    ]
