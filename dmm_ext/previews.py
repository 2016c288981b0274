"""Previews: a fixed set of prompts drawn, heard and scored while a LoRA trains.

A preview is a folder ``previews/step-000200`` with a picture and a sound for each clip, named as
``dmm generate`` names them, and ``preview.json``: what was drawn by which weights, the scores and
the seconds. It is written beside and renamed, so a killed one leaves nothing half; one that is
there already, by the same weights and settings, is not drawn again.
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
from dmm.files import whole_folder, write_text
from dmm.registry import load_embedder
from dmm.sound.audio import write_audio

from .collapse import CollapseAlarm
from .drawing import Drawer, random_untouched
from .engine_state import Parts
from .preview_settings import preview_format, preview_prompts
from .sounds import Scorer, reference_rows
from .trackers import show

FILE = "preview.json"
logger = logging.getLogger(__name__)


class Previews:
    """The previews of one run; the main process alone draws them."""

    def __init__(self, parts: Parts, trainer: Any, folder: Path) -> None:
        """``folder`` is RUN/previews. SystemExit, in one line, for settings that do not hold."""
        from dmm.generation.requests import clip_requests, with_anchor
        from dmm.generation.sampling import Sampling

        args = parts.args
        self.parts, self.folder = parts, folder
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
        if parts.accelerator.is_main_process:
            try:
                with random_untouched(parts.accelerator.device):
                    self._prepare(trainer, prompts)
            except DmmError as error:
                raise SystemExit(str(error)) from error

    def _prepare(self, trainer: Any, prompts: list[str]) -> None:
        """Load and hear what stays the same for all previews."""
        args = self.parts.args
        self.fmt = preview_format(args)
        weights = Path(args.preview_weights) if args.preview_weights else None
        embedder = load_embedder(args.preview_embedder, weights)
        reference = None
        if args.preview_reference:
            cache = self.folder / "reference.npz"
            reference = reference_rows(Path(args.preview_reference), embedder, cache)
        self.scorer = Scorer(embedder, prompts, reference)
        size = self.fmt.n_mels, self.fmt.n_frames
        self.drawer = Drawer(self.parts, trainer, self.texts, size, self.sampling)

    def draw(self, step: int) -> dict[str, float | str]:
        """Draw, hear, score and show the prompts; returns the scores by their names.

        ``preview/seconds`` is what it took. DmmError if a picture is not finite or cannot be
        written; the folder is then not there.
        """
        folder = self.folder / f"step-{step:06d}"
        facts = self._facts()
        scores = made_before(folder, facts)
        if scores is None:
            with random_untouched(self.parts.accelerator.device), whole_folder(folder) as part:
                scores = self._make(part, facts)
        images = [folder / f"{request.clip_id}.png" for request in self.requests]
        show(self.parts.accelerator.trackers, step, images, scores)
        diversity = scores.get("preview/prompt_diversity")
        line = None if diversity is None else self.alarm.hear(step, float(diversity))
        if line and not self.alarm.stops:  # else it is the reason that the run ends by
            logger.warning(line)
        return scores

    def reason_to_stop(self) -> str | None:
        """The alarm's line if it is on and is meant to end the run."""
        return self.alarm.line if self.alarm.stops else None

    def state(self) -> dict[str, Any]:
        """What a resumed run needs of the alarm; fit for JSON."""
        return self.alarm.state()

    def restore(self, state: dict[str, Any]) -> None:
        """Go on counting where a state was saved."""
        self.alarm.restore(state)

    def _facts(self) -> dict[str, Any]:
        """All that the clips and their scores depend on."""
        seeds = [request.seed for request in self.requests]
        return {
            "clips": [list(clip) for clip in zip(self.texts, seeds, strict=True)],
            **asdict(self.sampling),
            "format": self.fmt.name,
            "weights_sha256": fingerprint(self.parts.network),
            "scored_by": self.scorer.identity,
        }

    def _make(self, folder: Path, facts: dict[str, Any]) -> dict[str, float | str]:
        """Fill an empty folder; returns the scores."""
        from dmm.codec.decode import decode

        watch = Watch()
        images = self.drawer.draw(self.texts, [request.seed for request in self.requests])
        watch.passed("drawing")
        sounds = []
        for request, image in zip(self.requests, images, strict=True):
            sounds.append(folder / f"{request.clip_id}.flac")
            write_image(sounds[-1].with_suffix(".png"), image, self.fmt)
            write_audio(sounds[-1], decode(image, self.fmt), self.fmt.sr)
        watch.passed("decoding")
        scores = self.scorer.scores(sounds, [request.prompt for request in self.requests])
        watch.passed("scoring")
        scores["preview/seconds"] = round(sum(watch.seconds.values()), 3)
        record = {"drawn": facts, "scores": scores, "seconds": watch.seconds}
        write_text(folder / FILE, json.dumps(record, indent=2) + "\n")
        return scores


class Watch:
    """Seconds that the parts of something took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.monotonic()

    def passed(self, name: str) -> None:
        """What was done since the last call, or since the beginning, was this."""
        now = time.monotonic()
        self.seconds[name], self._since = round(now - self._since, 3), now


def made_before(folder: Path, facts: dict[str, Any]) -> dict[str, float | str] | None:
    """Scores of a folder that is there, if it was made from the same facts."""
    path = folder / FILE
    if not path.is_file():
        return None
    record = json.loads(path.read_text(encoding="utf-8"))
    return record["scores"] if record["drawn"] == facts else None


def fingerprint(network: torch.nn.Module) -> str:
    """SHA-256 of the network's weights."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
