"""Make the clips that are wanted and not there yet."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..progress import progress_bar
from .folder import is_made, write_clip
from .recipe import Recipe
from .requests import Request
from .studio import Studio
from .watch import Stopped, Watch


def make_clips(
    wanted: Sequence[Request],
    studio: Studio,
    recipe: Recipe,
    out: Path,
    batch_size: int = 4,
    watch: Watch | None = None,
) -> list[Path]:
    """Make what of the clips is not there; returns the sounds of all that are, in order.

    The model is loaded only if something is missing. DmmError leaves whole clips alone.
    """
    watch = watch or Watch()
    missing = [r for r in wanted if not is_made(out, r.clip_id, settings(r, studio, recipe))]
    if missing:
        with progress_bar("generate", len(missing)) as advance:
            try:
                for start in range(0, len(missing), batch_size):
                    batch = missing[start : start + batch_size]
                    for sound in _make_batch(batch, studio, recipe, out, watch):
                        watch.on_clip(sound)
                        advance()
            except Stopped:
                pass
    return [sound for r in wanted if (sound := out / f"{r.clip_id}.flac").is_file()]


def settings(request: Request, studio: Studio, recipe: Recipe) -> dict[str, Any]:
    """All that a clip follows from; fit for JSON."""
    return {
        "prompt": request.prompt,
        "seed": request.seed,
        **asdict(recipe.sampling),
        "anchor": recipe.anchor,
        **studio.identity,
        "format": recipe.fmt.name,
        "stereo": recipe.stereo,
        **({"clip_skip": recipe.clip_skip} if recipe.clip_skip else {}),
    }


def _make_batch(
    batch: Sequence[Request], studio: Studio, recipe: Recipe, out: Path, watch: Watch
) -> Iterator[Path]:
    def on_step(taken: int, of: int) -> None:
        if watch.should_stop():
            raise Stopped
        watch.on_step(taken, of)

    pictures = studio.draw(batch, recipe, on_step)
    for request, picture in zip(batch, pictures, strict=True):
        result = {"drawn_in": "fp32"} if picture.rescued else {}
        if picture.rescued:
            watch.on_note(
                f"{request.clip_id}: {studio.precision} overflowed, so it was drawn in fp32"
            )
        facts = settings(request, studio, recipe)
        yield write_clip(out, request.clip_id, picture, recipe.fmt, facts, result)
