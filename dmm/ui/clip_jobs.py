"""Generate clips for the page, in the background and with the last model kept loaded."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..generation.callbacks import Callbacks
from ..generation.generate import generate
from ..generation.loaded_model import LoadedModel
from ..generation.loading import Lora
from ..generation.requests import ClipRequest
from ..model_cards import sha256_of
from ..progress import progress_to
from .jobs import Job, Jobs
from .model_library import ModelLibrary
from .request_bodies import ClipsBody, VariationsBody


class WouldReplace(InputError):
    """Clips of the same IDs exist with other settings, or damaged."""

    def __init__(self, clip_ids: Sequence[str]) -> None:
        super().__init__(f"{', '.join(clip_ids)}: there with other settings")
        self.clip_ids = list(clip_ids)


class ClipJobs:
    """Starts jobs that generate clips; the last model stays loaded for the next job."""

    def __init__(self, library: ModelLibrary, out: Path, device: str, jobs: Jobs) -> None:
        self.library, self.out, self.device, self.jobs = library, out, device, jobs
        self._model: LoadedModel | None = None

    def start(self, body: ClipsBody) -> None:
        """Start a job that generates clips; Busy, WouldReplace or another DmmError before that."""
        self.jobs.refuse_if_busy()
        model = self._requested_model(body)
        make = partial(
            generate,
            body.prompts,
            model,
            self.out,
            count=body.count,
            seed=body.seed,
            steps=body.steps,
            guidance=body.guidance,
            sampler=body.sampler,
            negative_prompt=body.negative_prompt,
            anchor=body.anchor,
            format=body.format,
            overwrite=body.replace,
            batch_size=1 if model.device == "cpu" else 4,  # on a CPU the first clip comes sooner
        )
        missing = make(dry_run=True)
        existing = [path.stem for path in missing if path.with_suffix(".json").is_file()]
        if existing and not body.replace:
            raise WouldReplace(existing)
        job = Job("clips", max(len(missing), 1))
        self.jobs.start(job, lambda job: _generate_with_progress(job, make, len(missing)))

    def start_variations(self, body: VariationsBody, facts: Mapping[str, Any]) -> None:
        """Start a job that makes variations of a clip, whose JSON is ``facts``, with its model.

        Busy or another DmmError before it starts, such as for a model that is not offered here.
        """
        self.jobs.refuse_if_busy()
        model = self._same_or_new_model(*self._paths_by_hashes(facts))
        make = partial(
            generate,
            (),
            model,
            self.out,
            variations=body.clip,
            count=body.count,
            variation_strength=body.strength,
            format=facts.get("format"),
            stereo=facts.get("stereo"),
            batch_size=1 if model.device == "cpu" else 4,
        )
        missing = make(dry_run=True)
        job = Job("clips", max(len(missing), 1))
        self.jobs.start(job, lambda job: _generate_with_progress(job, make, len(missing)))

    def _paths_by_hashes(self, facts: Mapping[str, Any]) -> tuple[Path, tuple[Lora, ...]]:
        """Model and LoRAs by their hashes in a clip's JSON; InputError if one is not offered."""
        models = [model.path for model in self.library.models.values()]
        loras = [lora.path for lora in self.library.loras.values()]
        try:
            used = tuple(
                Lora(_file_with_hash(loras, lora["sha256"], "LoRA"), float(lora["weight"]))
                for lora in facts.get("loras", ())
            )
            return _file_with_hash(models, facts["model_sha256"], "model"), used
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"its JSON does not say what made it ({error!r})") from error

    def _requested_model(self, body: ClipsBody) -> LoadedModel:
        """The requested model; the loaded one if it is the same. InputError if not offered."""
        model = self.library.models.get(body.model)
        if model is None:
            raise InputError(f"{body.model}: no such model here; reload the page")
        for choice in body.loras:
            if choice.name not in model.loras:
                raise InputError(f"{choice.name}: no LoRA for {body.model}; reload the page")
        loras = tuple(Lora(self.library.loras[c.name].path, c.weight) for c in body.loras)
        return self._same_or_new_model(model.path, loras)

    def _same_or_new_model(self, path: Path, loras: tuple[Lora, ...]) -> LoadedModel:
        """The last model if path and LoRAs are the same, else a new one, not loaded yet."""
        loaded = self._model
        if loaded is None or (loaded.path, loaded.loras) != (path, loras):
            loaded = self._model = None  # free the last model before the next one is loaded
            loaded = self._model = LoadedModel(path, loras, self.device)
        return loaded


def _file_with_hash(files: Sequence[Path], sha256: str, kind: str) -> Path:
    """The file with this SHA-256 (hashes are cached); InputError if there is none."""
    found = next((path for path in files if sha256_of(path) == sha256), None)
    if found is None:
        raise InputError(f"the {kind} that made the clip is not among those of this page")
    return found


def _generate_with_progress(job: Job, make: Callable[..., list[Path]], n_missing: int) -> str:
    """Run ``make``, report to the job, and return the note shown at its end."""
    finished = 0
    batch: Sequence[ClipRequest] = ()

    def on_batch(requests: Sequence[ClipRequest]) -> None:
        nonlocal batch
        batch = requests

    def on_step(done: int, total: int) -> None:
        share = min(0.99, len(batch) * done / total)  # whole numbers count finished clips
        job.report(finished + share, f"{finished + 1} of {n_missing}: {batch[0].prompt}")

    def on_clip(_: Path) -> None:
        nonlocal finished
        finished += 1
        job.report(finished)

    job.report(note="loading the model")
    callbacks = Callbacks(on_batch, on_step, on_clip, job.notes.append)
    with progress_to(lambda *_: job.report()):
        make(callbacks=callbacks)
    return f"{n_missing} made" if n_missing else "all of them were there already"
