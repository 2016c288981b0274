"""From an order of the page to clips in the folder."""

from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError
from ..generation.callbacks import Watch
from ..generation.clips import make_clips
from ..generation.folder import read_settings
from ..generation.loaded_model import Studio
from ..generation.loading import Lora
from ..generation.making import Maker, Order
from ..generation.recipe import make_recipe
from ..generation.requests import Request, requests
from ..generation.sampling import Sampling
from ..progress import told_to
from .jobs import Job, Jobs
from .library import Library
from .orders import ClipsOrder


class Replaces(InputError):
    """Clips of the same names are there, made with other settings."""

    def __init__(self, clip_ids: Sequence[str]) -> None:
        super().__init__(f"{', '.join(clip_ids)}: there with other settings")
        self.clip_ids = list(clip_ids)


class ClipMaking:
    """Makes clips one order at a time, and keeps the last model loaded for the next one."""

    def __init__(self, library: Library, out: Path, device: str, jobs: Jobs) -> None:
        self.library, self.out, self.device, self.jobs = library, out, device, jobs
        self._studio: Studio | None = None

    def start(self, order: ClipsOrder) -> None:
        """Begin in the background; Busy, Replaces or another DmmError if it cannot begin."""
        self.jobs.refuse_if_busy()
        studio = self._open(order)
        sampling = Sampling(order.sampler, order.steps, order.guidance, order.negative_prompt)
        recipe = make_recipe(studio.model, studio.loras, sampling, order.format, order.anchor)
        size = 1 if studio.device == "cpu" else 4  # on a CPU the first is heard soonest so
        whole = Order(studio.model, recipe, self.out, studio.loras, batch_size=size)
        wanted = whole.jobs(requests(order.prompts, order.count, order.seed))
        missing = [r for batch in wanted for r in Maker(whole, studio).missing(batch)]
        there = [r.clip_id for r in missing if read_settings(self.out, r.clip_id) is not None]
        if there and not order.replace:
            raise Replaces(there)
        job = Job("clips", max(len(missing), 1))
        self.jobs.start(job, lambda job: _make(job, whole, studio, missing))

    def _open(self, order: ClipsOrder) -> Studio:
        """The model that the order names, if it may, loaded already where it was the last one."""
        model = self.library.models.get(order.model)
        if model is None:
            raise InputError(f"{order.model}: no such model here; reload the page")
        for choice in order.loras:
            if choice.name not in model.loras:
                raise InputError(f"{choice.name}: no LoRA for {order.model}; reload the page")
        loras = tuple(Lora(self.library.loras[c.name].path, c.weight) for c in order.loras)
        studio = self._studio
        if studio is None or (studio.model, studio.loras) != (model.path, loras):
            studio = self._studio = None  # let go of the last model before the next is loaded
            studio = self._studio = Studio(model.path, loras, self.device)
        return studio


def _make(job: Job, order: Order, studio: Studio, missing: Sequence[Request]) -> str:
    finished = 0

    def on_step(taken: int, of: int) -> None:
        drawn = min(order.batch_size, len(missing) - finished) * taken / of
        # whole numbers are finished clips, so what is being drawn stays below the next one
        told = f"{finished + 1} of {len(missing)}: {missing[finished].prompt}"
        job.go_on(finished + min(0.99, drawn), told)

    def on_clip(_: Path) -> None:
        nonlocal finished
        finished += 1
        job.go_on(finished)

    job.go_on(note="loading the model")
    watch = Watch(on_clip=on_clip, on_step=on_step, on_note=job.notes.append)
    with told_to(lambda *_: job.go_on()):
        make_clips(missing, order, studio, watch)
    return f"{len(missing)} made" if missing else "all of them were there already"
