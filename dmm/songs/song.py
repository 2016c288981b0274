"""Songs of any length from prompts: the library's ``song()``, behind ``dmm song``.

Joint diffusion makes one long latent, the VAE decodes it window by window, and the whole mel image
is turned into sound at once.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from ..choices import Offload, Precision, Quality
from ..errors import ModelError
from ..files import output_lock
from ..generation.callbacks import Callbacks, Stopped
from ..generation.conditioning import Conditioning, PromptEmbeddings, embed_prompts
from ..generation.denoising import Latents
from ..generation.loaded_model import LoadedModel
from ..generation.loading import LoraArgument, as_loras
from ..generation.prompts import truncation_notes_for_checkpoint
from ..generation.requests import with_anchor
from ..generation.sampling import make_scheduler
from ..generation.settings import GenerationSettings, default_sampling, resolve_settings
from ..progress import progress_bar
from .joint_diffusion import decode_windows, sample_jointly
from .latent_windows import OVERLAP
from .layout import SongLayout, SongOptions, lay_out_song
from .song_files import Song, Track, check_output_path, write_song
from .timeline import Timeline, timeline_from_options


def song(
    prompt: str | None,
    model: str | Path | LoadedModel,
    out: str | Path,
    lora: LoraArgument | Sequence[LoraArgument] = (),
    *,
    seconds: float | None = None,
    bars: int | None = None,
    bpm: float | None = None,
    timeline: str | Path | Timeline | None = None,
    loop: bool = False,
    seed: int = 0,
    steps: int | None = None,
    guidance: float | None = None,
    sampler: str | None = None,
    negative_prompt: str | None = None,
    anchor: str | None = None,
    format: str | None = None,  # noqa: A002 - as the option is called
    stereo: bool | None = None,
    overlap: float = OVERLAP,
    batch_size: int = 4,
    quality: Quality = "default",
    loudness_lufs: float | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    offload: Offload = "none",
    callbacks: Callbacks | None = None,
) -> list[Path]:
    """Generate a song; returns the files written: audio, wide mel image, cue sheet, JSON.

    Parameters are the options of ``dmm song``, which explains them. Name a prompt with ``seconds``,
    or ``bars`` and ``bpm``; or None and a ``timeline``. Sampler settings that are None are those
    that the LoRAs or the model name, else those of ``Sampling``. A loop has its exact length in
    samples, and is held in memory while it is turned into sound; otherwise memory grows only with
    the latent and the 8-bit image. The same seed gives the same song on one machine. An empty list,
    and no files, if the callbacks stop it. InputError, PresetError or ModelError for input that
    cannot be used.
    """
    if not isinstance(timeline, Timeline):
        path = None if timeline is None else Path(timeline)
        timeline = timeline_from_options(path, prompt, seconds, bars, bpm)
    if not isinstance(model, LoadedModel):
        model = LoadedModel(Path(model), as_loras(lora), device, precision, offload)
    defaults = default_sampling(model.path, model.loras)
    sampling = defaults.override(sampler, steps, guidance, negative_prompt)
    settings = resolve_settings(model.path, model.loras, sampling, format, anchor, stereo)
    options = SongOptions(seed, overlap, loop, batch_size)
    callbacks, out = callbacks or Callbacks(), Path(out)
    check_output_path(out)
    texts = [sampling.negative_prompt, *_anchored_part_prompts(settings, timeline)]
    for line in truncation_notes_for_checkpoint(model.path, texts):
        callbacks.on_note(line)
    layout = lay_out_song(timeline, options, settings.fmt, model.pipeline.vae_scale_factor)
    with output_lock(out):
        try:
            image, overflowed = generate_song_image(model, settings, layout, callbacks)
        except Stopped:
            return []
        facts = {
            **layout.as_json(),
            **asdict(sampling),
            "anchor": settings.anchor,
            **model.identify(),
            **({"drawn_in": "fp32"} if overflowed else {}),
        }
        made = _song_of_image(image, settings, layout, facts)
        return write_song(out, made, quality, loudness_lufs, model.device)


def _song_of_image(
    image: UInt8[np.ndarray, "rows frames *rgb"],
    settings: GenerationSettings,
    layout: SongLayout,
    facts: dict[str, Any],
) -> Song:
    """The song of an image, with its joints and facts."""
    joints, changes = layout.joints_and_changes()
    timeline, loop = layout.timeline, layout.options.loop
    return Song(
        image=image,
        fmt=settings.fmt,
        tracks=tuple(Track(part.start, part.prompt) for part in timeline.part),
        joints=joints,
        facts=facts,
        changes=changes,
        loop=loop,
        n_samples=round(timeline.seconds * settings.fmt.sr) if loop else None,
    )


def generate_song_image(
    model: LoadedModel, settings: GenerationSettings, layout: SongLayout, callbacks: Callbacks
) -> tuple[UInt8[np.ndarray, "rows frames *rgb"], bool]:
    """The wide mel image, and whether half precision overflowed and full precision was used.

    ModelError for NaN or infinity in full precision; Stopped if the callbacks stop it.
    """
    latents = _sample_latents(model, settings, layout, callbacks)
    overflowed = not _is_finite(latents) and model.precision != "fp32"
    if overflowed:
        callbacks.on_note(f"{model.precision} overflowed, so the song is generated in fp32")
        latents = _sample_latents(model.in_full_precision, settings, layout, callbacks)
    if not _is_finite(latents):
        raise ModelError(
            f"{model.path}: NaN in full precision, too: a LoRA has diverged or is too strong, or "
            "the weights are damaged"
        )
    with progress_bar("decode", len(layout.windows.starts)) as advance:
        image = decode_windows(model.pipeline, latents, layout.windows, settings.stereo, advance)
    if layout.options.loop:
        return stretch_loop(image, layout.n_frames), overflowed
    return image[:, : layout.n_frames], overflowed


def _sample_latents(
    model: LoadedModel, settings: GenerationSettings, layout: SongLayout, callbacks: Callbacks
) -> Latents:
    """Sample the whole song's latent."""
    pipeline, sampling = model.pipeline, settings.sampling
    scheduler = make_scheduler(sampling.sampler, pipeline.scheduler.config)
    scheduler.set_timesteps(sampling.steps)  # some samplers call the UNet twice a step
    n_windows = len(scheduler.timesteps) * len(layout.windows.starts)
    with progress_bar("sample", n_windows) as advance:
        return sample_jointly(
            pipeline,
            layout.windows,
            _window_conditioning(pipeline, settings, layout),
            sampling,
            rows=settings.fmt.n_mels // pipeline.vae_scale_factor,
            seed=layout.options.seed,
            predict=model.predict,
            batch_size=layout.options.batch_size,
            on_step=callbacks.before_step,
            on_windows=advance,
        )


def _is_finite(latents: Latents) -> bool:
    return bool(torch.isfinite(latents).all())


def _anchored_part_prompts(settings: GenerationSettings, timeline: Timeline) -> list[str]:
    return [with_anchor(settings.anchor, part.prompt) for part in timeline.part]


def _window_conditioning(
    pipeline: Any, settings: GenerationSettings, layout: SongLayout
) -> Conditioning:
    """One row a window; between two parts, a weighted mean of their prompts' embeddings."""
    sampling = settings.sampling
    texts = [sampling.negative_prompt, *_anchored_part_prompts(settings, layout.timeline)]
    embedded = embed_prompts(pipeline, texts, settings.clip_skip)
    parts = embedded.rows(range(1, len(embedded)))
    shares = torch.from_numpy(layout.weights).to(embedded.tokens)
    pooled = None if parts.pooled is None else shares @ parts.pooled
    mixed = PromptEmbeddings(torch.einsum("wp,ptd->wtd", shares, parts.tokens), pooled)
    return Conditioning(mixed, embedded.rows([0] * len(layout.weights)), sampling.guidance)


def stretch_loop(
    image: UInt8[np.ndarray, "rows frames *rgb"], n_frames: int
) -> UInt8[np.ndarray, "rows wanted *rgb"]:
    """Resample a loop's image to another width by cubic splines that wrap around.

    A latent column stands for several image columns, so latents alone cannot have every length.
    """
    from scipy.ndimage import zoom

    if image.shape[1] == n_frames:
        return image
    factors = [n_frames / image.shape[1] if axis == 1 else 1.0 for axis in range(image.ndim)]
    stretched = np.asarray(
        zoom(image.astype(np.float32), factors, mode="grid-wrap", grid_mode=True)
    )
    return np.rint(stretched.clip(0, 255)).astype(np.uint8)
