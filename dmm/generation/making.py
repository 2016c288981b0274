"""Make clips: an order, and what fulfils it job by job.

A job is what is drawn without a pause: a batch, or all clips of a prompt where the best are kept.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..codec.decode import decode
from ..devices import Precision
from .callbacks import Stopped, Watch
from .folder import RESULT, is_made, read_settings, write_clip
from .loaded_model import Picture, Studio
from .loading import Lora, Offload
from .ranking import Ranker, Ranking
from .recipe import Recipe
from .requests import Request

Job = tuple[Request, ...]


@dataclass(frozen=True)
class Order:
    """All about clips to make but which; may travel to other machines."""

    model: Path
    recipe: Recipe
    out: Path
    """CLIPS folder."""
    loras: tuple[Lora, ...] = ()
    device: str = "auto"
    precision: Precision = "auto"
    offload: Offload = "none"
    batch_size: int = 4
    """Clips drawn at once."""
    ranking: Ranking | None = None
    """How the best of each prompt are chosen; None keeps all."""

    def studio(self) -> Studio:
        """The model, not loaded yet; ModelError if a LoRA does not fit it."""
        return Studio(self.model, self.loras, self.device, self.precision, self.offload)

    def jobs(self, wanted: Sequence[Request]) -> list[Job]:
        """The clips in batches, or, if the best are kept, prompt by prompt."""
        if not self.ranking:
            starts = range(0, len(wanted), self.batch_size)
            return [tuple(wanted[start : start + self.batch_size]) for start in starts]
        by_prompt: dict[str, list[Request]] = {}
        for request in wanted:
            by_prompt.setdefault(request.prompt, []).append(request)
        return [tuple(found) for found in by_prompt.values()]


class Maker:
    """An order with its model."""

    def __init__(self, order: Order, studio: Studio | None = None) -> None:
        """``studio`` is one of the order's model that is open already."""
        self.order, self.studio = order, studio or order.studio()
        self.ranker = Ranker(order.ranking) if order.ranking else None

    def settings(self, request: Request, job: Job) -> dict[str, Any]:
        """All that a clip follows from; fit for JSON."""
        recipe = self.order.recipe
        ranked = self.ranker.settings | {"of": len(job)} if self.ranker else None
        return {
            **request.settings(),
            **asdict(recipe.sampling),
            "anchor": recipe.anchor,
            **self.studio.identity,
            "format": recipe.fmt.name,
            "stereo": recipe.stereo,
            **({"clip_skip": recipe.clip_skip} if recipe.clip_skip else {}),
            **(recipe.start.settings if recipe.start else {}),
            **({"rank": ranked} if ranked else {}),
        }

    def missing(self, job: Job) -> Job:
        """What of a job is yet to be made; of a ranked one all or nothing."""
        made = [request for request in job if self._is_made(request, job)]
        if not self.ranker:
            return tuple(request for request in job if request not in made)
        names = {request.clip_id for request in made}
        complete = any(set(self._kept(request)) <= names for request in made)
        return () if complete else job

    def sounds(self, job: Job) -> list[Path]:
        """The sounds of those of a job's clips that are there."""
        made = [request.clip_id for request in job if self._is_made(request, job)]
        return [self.order.out / f"{name}.flac" for name in made]

    def make(self, job: Job, watch: Watch) -> Iterator[Path]:
        """Make a job's clips and yield their sounds; Stopped if the watcher wants an end.

        DmmError, in one line, leaves whole clips alone.
        """
        if self.ranker:
            yield from self._make_best(job, self.ranker, watch)
            return
        for request, picture in zip(job, self._draw(job, watch), strict=True):
            sound = decode(picture.levels, self.order.recipe.fmt)
            yield self._write(request, job, picture, sound, {})

    def _make_best(self, job: Job, ranker: Ranker, watch: Watch) -> Iterator[Path]:
        fmt, size = self.order.recipe.fmt, self.order.batch_size
        batches = [job[start : start + size] for start in range(0, len(job), size)]
        pictures = [picture for batch in batches for picture in self._draw(batch, watch)]
        sounds = [decode(picture.levels, fmt) for picture in pictures]
        choice = ranker.choose(job[0].prompt, sounds, fmt.sr)
        drawn = [
            {"id": request.clip_id, "seed": request.seed, "score": score, "kept": i in choice.kept}
            for i, (request, score) in enumerate(zip(job, choice.scores, strict=True))
        ]
        for place, i in enumerate(choice.kept):
            own = {"score": choice.scores[i], "place": place + 1, "filled": i in choice.filled}
            result = {"ranking": own | {"least_distance": choice.floor, "drawn": drawn}}
            yield self._write(job[i], job, pictures[i], sounds[i], result)

    def _draw(self, batch: Sequence[Request], watch: Watch) -> list[Picture]:
        def on_step(taken: int, of: int) -> None:
            if watch.should_stop():
                raise Stopped
            watch.on_step(taken, of)

        pictures = self.studio.draw(batch, self.order.recipe, on_step)
        for request, picture in zip(batch, pictures, strict=True):
            if picture.rescued:
                overflown = f"{self.studio.precision} overflowed, so it was drawn in fp32"
                watch.on_note(f"{request.clip_id}: {overflown}")
        return pictures

    def _write(
        self, request: Request, job: Job, picture: Picture, sound: Any, result: dict[str, Any]
    ) -> Path:
        if picture.rescued:
            result = result | {"drawn_in": "fp32"}
        out, fmt = self.order.out, self.order.recipe.fmt
        facts = self.settings(request, job) | ({RESULT: result} if result else {})
        return write_clip(out, request.clip_id, picture.levels, sound, fmt, facts)

    def _is_made(self, request: Request, job: Job) -> bool:
        return is_made(self.order.out, request.clip_id, self.settings(request, job))

    def _kept(self, request: Request) -> list[str]:
        stored = read_settings(self.order.out, request.clip_id) or {}
        return [row["id"] for row in stored[RESULT]["ranking"]["drawn"] if row["kept"]]
