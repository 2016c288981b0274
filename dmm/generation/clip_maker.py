"""Generate the clips of one batch into a CLIPS folder, and find those that exist already."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..codec.decode import decode
from .callbacks import Callbacks
from .clip_files import RESULT, clip_path, has_clip_with_settings, read_clip_json, write_clip
from .image_model import GeneratedImage, ImageModel
from .ranking import Ranking
from .requests import ClipRequest
from .settings import GenerationSettings

Batch = tuple[ClipRequest, ...]
"""Clips generated together; with a ranking, all candidates of one prompt."""


@dataclass(frozen=True)
class ClipMaker:
    """Generates clips into a CLIPS folder with one model and one set of settings."""

    model: ImageModel
    settings: GenerationSettings
    out: Path
    batch_size: int = 4
    """Clips generated at once."""
    ranking: Ranking | None = None
    """Choice of the best clips of each prompt; None keeps all."""

    def split_batches(self, requests: Sequence[ClipRequest]) -> list[Batch]:
        """The requests in batches, or by prompt if the best of each prompt are kept."""
        if not self.ranking:
            return _split_batches(tuple(requests), self.batch_size)
        by_prompt: dict[str, list[ClipRequest]] = {}
        for request in requests:
            by_prompt.setdefault(request.prompt, []).append(request)
        return [tuple(found) for found in by_prompt.values()]

    def clip_json(self, request: ClipRequest, candidates: int) -> dict[str, Any]:
        """Everything that decides a clip, as in its JSON file."""
        return {
            **request.as_json(),
            **asdict(self.settings.sampling),
            "anchor": self.settings.anchor,
            **self.model.identify(),
            **self.settings.format_json(),
            **({"rank": self.ranking.as_json() | {"of": candidates}} if self.ranking else {}),
        }

    def missing_of_batch(self, batch: Batch) -> Batch:
        """The clips of a batch that have to be generated; with a ranking, all of them or none."""
        existing = self._existing_clips(batch)
        if not self.ranking:
            return tuple(request for request in batch if request not in existing)
        names = {request.clip_id for request in existing}
        complete = any(self._ids_kept_with(request) <= names for request in existing)
        return () if complete else batch

    def conflicting_ids(self, batch: Batch) -> list[str]:
        """IDs of clips of a batch that exist with other settings, or damaged."""
        existing = self._existing_clips(batch)
        others = [request.clip_id for request in batch if request not in existing]
        return [name for name in others if clip_path(self.out, name, "json").exists()]

    def existing_flac_paths(self, batch: Batch) -> list[Path]:
        """FLAC files of a batch's existing clips."""
        return [self.out / f"{request.clip_id}.flac" for request in self._existing_clips(batch)]

    def generate_and_write(self, batch: Batch, callbacks: Callbacks) -> Iterator[Path]:
        """Generate a batch and yield its FLAC files; Stopped if the caller asks for it.

        DmmError and interruptions leave only complete clips.
        """
        if self.ranking:
            yield from self._generate_and_write_best(batch, self.ranking, callbacks)
            return
        for request, image in zip(batch, self._generate_images(batch, callbacks), strict=True):
            audio = decode(image.levels, self.settings.fmt)
            yield self._write_with_json(request, len(batch), image, audio, {})

    def _generate_and_write_best(
        self, batch: Batch, ranking: Ranking, callbacks: Callbacks
    ) -> Iterator[Path]:
        """Generate all candidates of a prompt, and write those that the ranking keeps."""
        fmt = self.settings.fmt
        parts = _split_batches(batch, self.batch_size)
        images = [image for part in parts for image in self._generate_images(part, callbacks)]
        sounds = [decode(image.levels, fmt) for image in images]
        chosen = ranking.select(batch[0].prompt, sounds, fmt.sr)
        candidates = [
            {"id": request.clip_id, "seed": request.seed, "score": score, "kept": i in chosen.kept}
            for i, (request, score) in enumerate(zip(batch, chosen.scores, strict=True))
        ]
        for place, i in enumerate(chosen.kept):
            own_rank = {"score": chosen.scores[i], "place": place + 1, "filled": i in chosen.filled}
            shared = {"least_distance": chosen.least_distance, "drawn": candidates}
            result = {"ranking": own_rank | shared}
            yield self._write_with_json(batch[i], len(batch), images[i], sounds[i], result)

    def _generate_images(self, batch: Batch, callbacks: Callbacks) -> list[GeneratedImage]:
        """Generate the images of a batch, with a note on each that overflowed."""
        callbacks.on_batch(batch)
        images = self.model.generate_images(batch, self.settings, callbacks.before_step)
        for request, image in zip(batch, images, strict=True):
            if image.overflowed:
                reason = f"{self.model.precision} overflowed, so it was generated in fp32"
                callbacks.on_note(f"{request.clip_id}: {reason}")
        return images

    def _write_with_json(
        self,
        request: ClipRequest,
        candidates: int,
        image: GeneratedImage,
        audio: Any,
        result: dict[str, Any],
    ) -> Path:
        if image.overflowed:
            result = result | {"drawn_in": "fp32"}
        if names := self.model.lora_names:
            result = result | {"loras": names}
        facts = self.clip_json(request, candidates) | ({RESULT: result} if result else {})
        fmt = self.settings.fmt
        return write_clip(self.out, request.clip_id, image.levels, audio, fmt, facts)

    def _existing_clips(self, batch: Batch) -> Batch:
        """The requests whose clips exist with the same settings."""
        return tuple(
            request
            for request in batch
            if has_clip_with_settings(
                self.out, request.clip_id, self.clip_json(request, len(batch))
            )
        )

    def _ids_kept_with(self, request: ClipRequest) -> set[str | None]:
        """IDs of the clips that were kept when this one was; None among them if unknown."""
        stored = read_clip_json(self.out, request.clip_id) or {}
        try:
            return {row["id"] for row in stored[RESULT]["ranking"]["drawn"] if row["kept"]}
        except (KeyError, TypeError):  # edited by hand
            return {None}


def _split_batches(requests: Batch, size: int) -> list[Batch]:
    return [requests[start : start + size] for start in range(0, len(requests), size)]
