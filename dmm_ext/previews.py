"""Previews: a fixed set of prompts, generated and scored while a LoRA trains.

A preview is a folder ``previews/step-000200`` with a mel image and a sound for each clip, named as
by ``dmm generate``, and ``preview.json``: inputs, weights, scores and seconds. It is written beside
and renamed, so a killed process leaves no partial one. A preview of the same weights and settings
that exists already is not generated again.
"""

import hashlib
import json
import logging
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from dmm.codec.image import write_image
from dmm.errors import DmmError
from dmm.files import read_json, whole_folder, write_text
from dmm.registry import load_embedder
from dmm.sound.audio import write_audio

from .collapse import CollapseAlarm
from .engine_state import EngineState
from .preview_images import ImageGenerator, preserved_random_states
from .preview_scores import PreviewScorer, reference_embeddings
from .preview_settings import preview_format, preview_prompts
from .trackers import log_preview

FILE = "preview.json"
logger = logging.getLogger(__name__)


class Previews:
    """The previews of one run, with their collapse alarm; the main process makes them."""

    def __init__(self, engine: EngineState, trainer: Any, folder: Path) -> None:
        """``folder`` is RUN/previews. SystemExit, in one line, for invalid settings."""
        from dmm.generation.requests import clip_requests, with_anchor
        from dmm.generation.sampling import Sampling

        args = engine.args
        self.engine, self.folder = engine, folder
        self.sampling = Sampling(args.preview_sampler, args.preview_steps, args.preview_guidance)
        prompts = preview_prompts(args)
        try:
            self.requests = clip_requests(prompts, args.preview_count, args.preview_seed)
            self.alarm = CollapseAlarm(
                args.collapse_floor, args.collapse_patience, args.collapse_stop
            )
        except ValueError as error:
            raise SystemExit(f"previews: {error}") from error
        self.texts = [with_anchor(args.anchor, request.prompt) for request in self.requests]
        if engine.accelerator.is_main_process:
            try:
                with preserved_random_states(engine.accelerator.device):
                    self._load_embedder_and_generator(trainer, prompts)
            except DmmError as error:
                raise SystemExit(str(error)) from error

    def _load_embedder_and_generator(self, trainer: Any, prompts: list[str]) -> None:
        """Load the embedder, embed the real clips, and prepare the generator for all previews."""
        args = self.engine.args
        self.fmt = preview_format(args)
        weights = Path(args.preview_weights) if args.preview_weights else None
        embedder = load_embedder(args.preview_embedder, weights)
        reference = None
        if args.preview_reference:
            cache = self.folder / "reference.npz"
            reference = reference_embeddings(Path(args.preview_reference), embedder, cache)
        self.scorer = PreviewScorer(embedder, prompts, reference)
        size = self.fmt.n_mels, self.fmt.n_frames
        self.generator = ImageGenerator(self.engine, trainer, self.texts, size, self.sampling)

    def make_preview(self, step: int) -> dict[str, float | str]:
        """Generate, decode, score and log all clips at a step; returns the scores by name.

        Also feeds the collapse alarm, whose warning is logged. ``preview/seconds`` is the time
        taken. DmmError, and no folder, if an image is not finite or cannot be written.
        """
        folder = self.folder / f"step-{step:06d}"
        inputs = self._inputs_json()
        scores = scores_if_unchanged(folder, inputs)
        if scores is None:
            device = self.engine.accelerator.device
            with preserved_random_states(device), whole_folder(folder) as part:
                scores = self._write_preview(part, inputs)
        images = [folder / f"{request.clip_id}.png" for request in self.requests]
        log_preview(self.engine.accelerator.trackers, step, images, scores)
        diversity = scores.get("preview/prompt_diversity")
        warning = None if diversity is None else self.alarm.update(step, float(diversity))
        if warning and not self.alarm.stops:  # otherwise it is the reason for the run's end
            logger.warning(warning)
        return scores

    def reason_to_stop(self) -> str | None:
        """The alarm's warning, if the alarm is on and is set to end the run."""
        return self.alarm.message if self.alarm.stops else None

    def state(self) -> dict[str, Any]:
        """The alarm's counts to save for a resume, as JSON values."""
        return self.alarm.state()

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from the alarm's counts in a state."""
        self.alarm.restore(state)

    def _inputs_json(self) -> dict[str, Any]:
        """Everything that the clips and their scores depend on."""
        seeds = [request.seed for request in self.requests]
        return {
            "clips": [list(clip) for clip in zip(self.texts, seeds, strict=True)],
            **asdict(self.sampling),
            "format": self.fmt.name,
            "weights_sha256": weights_sha256(self.engine.network),
            "scored_by": self.scorer.identity,
        }

    def _write_preview(self, folder: Path, inputs: dict[str, Any]) -> dict[str, float | str]:
        """Write clips and ``preview.json`` into an empty folder; returns the scores."""
        from dmm.codec.decode import decode

        timer = StageTimer()
        seeds = [request.seed for request in self.requests]
        images = self.generator.generate(self.texts, seeds)
        timer.end_stage("drawing")
        sounds = []
        for request, image in zip(self.requests, images, strict=True):
            sounds.append(folder / f"{request.clip_id}.flac")
            write_image(sounds[-1].with_suffix(".png"), image, self.fmt)
            write_audio(sounds[-1], decode(image, self.fmt), self.fmt.sr)
        timer.end_stage("decoding")
        scores = self.scorer.scores(sounds, [request.prompt for request in self.requests])
        timer.end_stage("scoring")
        scores["preview/seconds"] = round(sum(timer.seconds.values()), 3)
        record = {"drawn": inputs, "scores": scores, "seconds": timer.seconds}
        write_text(folder / FILE, json.dumps(record, indent=2) + "\n")
        return scores


class StageTimer:
    """Seconds that each stage of a task took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.monotonic()

    def end_stage(self, name: str) -> None:
        """Record the seconds since the previous call, or the creation, under ``name``."""
        now = time.monotonic()
        self.seconds[name], self._since = round(now - self._since, 3), now


def scores_if_unchanged(folder: Path, inputs: dict[str, Any]) -> dict[str, float | str] | None:
    """Scores of an existing preview; None if there is none, or it has other inputs."""
    path = folder / FILE
    if not path.is_file():
        return None
    record = read_json(path, finite=False)
    return record.get("scores") if record.get("drawn") == inputs else None


def weights_sha256(network: torch.nn.Module) -> str:
    """SHA-256 of the network's weights and their names."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
