"""``dmm bench minimidi``: what a model makes of prompts whose right answers are known.

Every row is measured in the same run by the same judges and the same embedder, and stands beside
rows that need no belief: real clips in the model's place, the same real clips after the model's
own VAE, the model's clips judged by other clips' prompts, and a model that was never trained.
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
from eval.metrics.diversity import diversity_by_prompt, embedding_diversity
from eval.metrics.fad import frechet_distance

from .prompts import Case
from .stand_ins import rendered, through_vae, untrained

UNTRAINED = Sampling(steps=2)
"""A model that knows nothing makes noise at any number of steps."""


@dataclass(frozen=True)
class Row:
    """One line of the table; None where a figure would mean nothing."""

    name: str
    clips: int
    adherence: Adherence
    fad: float | None = None
    """Fréchet distance to the reference clips."""
    diversity: float | None = None
    per_prompt: float | None = None
    """Diversity among the clips of one prompt."""


@dataclass(frozen=True)
class Listening:
    """Who listens, and to what the clips are compared."""

    judges: Judges
    embedder: Embedder
    asked: list[Prompt]
    """The prompt of every clip."""
    reference: Float[np.ndarray, "n dim"]

    def row(self, name: str, files: Sequence[Path]) -> Row:
        """Judge clips against their prompts and the reference."""
        rows = embed_files(files, self.embedder).rows
        return Row(
            name,
            len(files),
            adherence(self.judges.hear(files), self.asked),
            frechet_distance(rows, self.reference),
            embedding_diversity(rows),
            float(np.mean(list(diversity_by_prompt(rows, self.asked).values()))),
        )

    def shuffled(self, files: Sequence[Path]) -> Row:
        """Judge clips against other clips' prompts: what chance hears."""
        order = np.random.default_rng(0).permutation(len(self.asked))
        heard = self.judges.hear(files)
        return Row("shuffled prompts", len(files), adherence(heard, [self.asked[i] for i in order]))


@dataclass(frozen=True)
class Contender:
    """The model on trial and how it draws."""

    model: Path
    lora: Path | None
    sampling: Sampling
    batch_size: int

    @property
    def fmt(self) -> MelFormat:
        """The model's own format."""
        return load_format(read_metadata(self.model).get("dmm_format", "nano"))


def bench(
    contender: Contender, found: list[Case], judges: Judges, embedder: Embedder, out: Path
) -> list[Row]:
    """All rows for some prompts; clips are kept below ``out`` and not made again."""
    seeds, fmt = len(found[0].real), contender.fmt
    turns = [(case, turn) for turn in range(seeds) for case in found]  # the order of ``generate``
    real = rendered([case.real[turn] for case, turn in turns], out / "real", fmt.sr)
    others: list[Piece] = [case.reference[turn] for case, turn in turns]
    reference = embed_files(rendered(others, out / "reference", fmt.sr), embedder).rows
    listening = Listening(judges, embedder, [case.prompt for case, _ in turns], reference)
    texts = [case.prompt.text for case in found]

    def made(folder: str, model: Path, lora: Path | None, sampling: Sampling) -> list[Path]:
        batch_size = contender.batch_size
        return generate(
            texts, model, out / folder, lora or (), count=seeds, batch_size=batch_size,
            **asdict(sampling),
        )  # fmt: skip

    ours = made("model", contender.model, None, contender.sampling)
    rows = [listening.row("model", ours)]
    if contender.lora:
        with_lora = made("lora", contender.model, contender.lora, contender.sampling)
        rows.append(listening.row("model with LoRA", with_lora))
    blank = untrained(contender.model, out / "untrained.safetensors")
    return [
        *rows,
        listening.row("real clips", real),
        listening.row(
            "real clips after the VAE", through_vae(real, out / "vae", contender.model, fmt)
        ),
        listening.shuffled(ours),
        listening.row("untrained UNet", made("untrained", blank, None, UNTRAINED)),
    ]
