"""Long pieces from prompts: joint diffusion, a picture window by window, one inversion."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from ..codec.decode import Quality
from ..errors import ModelError
from ..generation.callbacks import Stopped, Watch
from ..generation.conditioning import Conditions, Words, embed_prompts
from ..generation.denoising import Latents, predict
from ..generation.exact_batching import Alike
from ..generation.loaded_model import Studio
from ..generation.loading import open_pipeline
from ..generation.prompts import unread_by
from ..generation.recipe import Recipe
from ..generation.sampling import make_scheduler
from ..progress import progress_bar
from .files import Piece, Track, check_out, write_song
from .joint import decode_jointly, draw_jointly
from .plan import Plan, Take, make_plan
from .timeline import Timeline


def song(
    timeline: Timeline,
    studio: Studio,
    recipe: Recipe,
    out: Path,
    take: Take | None = None,
    quality: Quality = "default",
    loudness_lufs: float | None = None,
    watch: Watch | None = None,
) -> list[Path]:
    """Play a timeline; returns the files written: sound, wide mel image, cue sheet, JSON.

    Any length: what grows with it is the latent, the 8-bit image and the files. A loop is held
    whole while it is inverted, and has its length to the sample. The same seed gives the same
    piece on the same machine. Nothing is written if ``watch`` stops it.
    """
    watch = watch or Watch()
    check_out(out)
    texts = [recipe.text(part.prompt) for part in timeline.part]
    for line in unread_by(studio.model, [recipe.sampling.negative_prompt, *texts]):
        watch.on_note(line)
    plan = make_plan(timeline, take or Take(), recipe.fmt, studio.pipeline.vae_scale_factor)
    try:
        image, rescued = draw_song(studio, recipe, plan, watch)
    except Stopped:
        return []
    joints, changes = plan.spans()
    piece = Piece(
        image=image,
        fmt=recipe.fmt,
        tracks=tuple(Track(part.start, part.prompt) for part in timeline.part),
        joints=joints,
        facts={
            **plan.facts(),
            **asdict(recipe.sampling),
            "anchor": recipe.anchor,
            **studio.identity,
            **({"drawn_in": "fp32"} if rescued else {}),
        },
        changes=changes,
        loop=plan.take.loop,
        n_samples=round(timeline.seconds * recipe.fmt.sr) if plan.take.loop else None,
    )
    return write_song(out, piece, quality, loudness_lufs, studio.device)


def draw_song(
    studio: Studio, recipe: Recipe, plan: Plan, watch: Watch
) -> tuple[UInt8[np.ndarray, "rows frames *rgb"], bool]:
    """The wide image, and whether half precision overflowed and it was drawn in full.

    ModelError if it is not finite in full precision either; Stopped if ``watch`` says so.
    """
    latents = _latents(studio.pipeline, studio.device, recipe, plan, watch)
    rescued = not _is_finite(latents) and studio.precision != "fp32"
    if rescued:
        watch.on_note(f"{studio.precision} overflowed, so the piece is drawn in fp32")
        offload = "none" if studio.device == "cpu" else "sequential"
        full = open_pipeline(studio.model, studio.loras, studio.device, "fp32", offload)
        latents = _latents(full, studio.device, recipe, plan, watch)
    if not _is_finite(latents):
        raise ModelError(
            f"{studio.model}: the piece holds NaN in full precision, too: a LoRA has diverged or "
            "is too strong, or the weights are damaged"
        )
    with progress_bar("decode", len(plan.windows.starts)) as advance:
        image = decode_jointly(studio.pipeline, latents, plan.windows, recipe.stereo, advance)
    if plan.take.loop:
        return stretch_loop(image, plan.n_frames), rescued
    return image[:, : plan.n_frames], rescued


def _latents(pipeline: Any, device: str, recipe: Recipe, plan: Plan, watch: Watch) -> Latents:
    def on_step(taken: int, of: int) -> None:
        if watch.should_stop():
            raise Stopped
        watch.on_step(taken, of)

    scheduler = make_scheduler(recipe.sampling.sampler, pipeline.scheduler.config)
    scheduler.set_timesteps(recipe.sampling.steps)  # some samplers look twice at each
    with progress_bar("draw", len(scheduler.timesteps) * len(plan.windows.starts)) as advance:
        return draw_jointly(
            pipeline,
            plan.windows,
            _conditions(pipeline, recipe, plan),
            recipe.sampling,
            rows=recipe.fmt.n_mels // pipeline.vae_scale_factor,
            seed=plan.take.seed,
            predict=Alike(pipeline) if device == "cpu" else predict,
            batch_size=plan.take.batch_size,
            on_step=on_step,
            on_window=advance,
        )


def _is_finite(latents: Latents) -> bool:
    return bool(torch.isfinite(latents).all())


def _conditions(pipeline: Any, recipe: Recipe, plan: Plan) -> Conditions:
    """A row for every window; between two parts, a mixture of what their prompts became."""
    asked = [recipe.text(part.prompt) for part in plan.timeline.part]
    words = embed_prompts(pipeline, [recipe.sampling.negative_prompt, *asked], recipe.clip_skip)
    parts = words.rows(range(1, len(words)))
    shares = torch.from_numpy(plan.weights).to(words.tokens)
    pooled = None if parts.pooled is None else shares @ parts.pooled
    mixed = Words(torch.einsum("wp,ptd->wtd", shares, parts.tokens), pooled)
    negative = words.rows([0] * len(plan.weights))
    return Conditions(mixed, negative, recipe.sampling.guidance)


def stretch_loop(
    image: UInt8[np.ndarray, "rows frames *rgb"], n_frames: int
) -> UInt8[np.ndarray, "rows wanted *rgb"]:
    """A loop's image at another width, its last column next to its first, by cubic splines.

    A latent column stands for several of the image, and a loop cannot be cut.
    """
    from scipy.ndimage import zoom

    if image.shape[1] == n_frames:
        return image
    factors = [n_frames / image.shape[1] if axis == 1 else 1.0 for axis in range(image.ndim)]
    stretched = np.asarray(
        zoom(image.astype(np.float32), factors, mode="grid-wrap", grid_mode=True)
    )
    return np.rint(stretched.clip(0, 255)).astype(np.uint8)
