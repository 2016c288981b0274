"""Generate clips from prompts: the library's ``generate()``, behind ``dmm generate`` and the page.

A CLIPS folder holds ``ID.png``, ``ID.flac`` and ``ID.json`` for each clip. A clip that exists with
the same settings is not generated again, so a repeated call continues an interrupted one.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..choices import Offload, Precision
from ..errors import PresetError
from ..workers import has_gpus
from .bundle_model import BundleModel
from .callbacks import Callbacks
from .clip_maker import ClipMaker
from .clips import make_missing_clips, missing_requests, refuse_overwriting
from .image_model import ImageModel
from .init_audio import read_init_audio
from .loading import Lora, LoraArgument, as_loras
from .ranking import Ranking
from .requests import clip_requests, morph_requests
from .variations import read_original


def generate(
    prompts: str | Sequence[str],
    model: str | Path | ImageModel,
    out: str | Path,
    lora: LoraArgument | Sequence[LoraArgument] = (),
    *,
    count: int = 1,
    seed: int | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    sampler: str | None = None,
    negative_prompt: str | None = None,
    anchor: str | None = None,
    format: str | None = None,  # noqa: A002 - as the option is called
    stereo: bool | None = None,
    morph: tuple[str, str] | None = None,
    variations: str | None = None,
    variation_strength: float = 0.2,
    init: str | Path | None = None,
    init_start: float = 0.0,
    strength: float | None = None,
    mask: tuple[float, float] | None = None,
    rank: str | None = None,
    keep: int = 1,
    floor: float = 0.5,
    weights: str | Path | None = None,
    batch_size: int = 4,
    device: str = "auto",
    precision: Precision = "auto",
    offload: Offload = "none",
    ray: str | None = None,
    callbacks: Callbacks | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
) -> list[Path]:
    """Generate ``count`` clips of each prompt into the folder ``out``; returns their FLAC files.

    Parameters are the options of ``dmm generate``, which explains them. A ``morph`` of two prompts
    or ``variations`` of the clip with that ID need no prompts. A sampler setting that is None is
    taken from the original (variations), else from the LoRAs or the model, else from ``Sampling``;
    anchor, format and stereo likewise. Seeds count up from ``seed``, by default 0 (for variations,
    the one after the original's); a seed gives the same clip in any batch. ``model`` is a
    checkpoint, or a BUNDLE folder, which needs no torch; a ``LoadedModel`` or ``BundleModel`` has
    its own LoRAs and device. A clip that exists with other settings is refused, or replaced with
    ``overwrite``. ``dry_run`` only returns the files that may be written: with ``rank``, those of
    all candidates. ValueError unless exactly one of prompts, ``morph`` and ``variations`` is given;
    InputError, PresetError or ModelError for unusable input.
    """
    if sum(map(bool, (prompts, morph, variations))) != 1:
        raise ValueError("give prompts, or a morph of two, or the clip to make variations of")
    out = Path(out)
    if isinstance(model, str | Path):
        model = _model_from_arguments(Path(model), as_loras(lora), device, precision, offload, ray)
    original = read_original(out, variations) if variations else None
    if anchor is None and original:
        anchor = original.anchor_text
    settings = model.settings(original and original.sampling, format, anchor, stereo)
    sampling = settings.sampling.override(sampler, steps, guidance, negative_prompt)
    settings = replace(settings, sampling=sampling)
    if format and (note := model.other_format_note(settings.fmt)):
        (callbacks or Callbacks()).on_note(note)
    if init:
        if isinstance(model, BundleModel):
            raise PresetError(f"--init: {model.path} has no VAE encoder; name its checkpoint")
        image = read_init_audio(
            Path(init), settings.fmt, settings.stereo, strength, mask, init_start
        )
        settings = replace(settings, init=image)
    ranking = Ranking(rank, keep, floor, Path(weights) if weights else None) if rank else None
    maker = ClipMaker(model, settings, out.resolve() if ray else out, batch_size, ranking)
    if original:
        original.check_same_model_and_format(maker)
        requests = original.variation_requests(count, seed, variation_strength)
    elif morph:
        requests = morph_requests(*morph, count, seed or 0)
    else:
        texts = [prompts] if isinstance(prompts, str) else prompts
        requests = clip_requests(texts, count, seed or 0)
    if dry_run:
        return [maker.out / f"{r.clip_id}.flac" for r in missing_requests(requests, maker)]
    if not overwrite:
        refuse_overwriting(requests, maker)
    return make_missing_clips(requests, maker, callbacks, ray)


def _model_from_arguments(
    path: Path,
    loras: tuple[Lora, ...],
    device: str,
    precision: Precision,
    offload: Offload,
    ray: str | None,
) -> ImageModel:
    """The model, not loaded yet; with ``ray``, paths are absolute, the device is a cluster's."""
    if path.is_dir():
        return _open_bundle_model(
            path.resolve() if ray else path, loras, device, precision, offload
        )
    from ..devices import pick_device
    from .loaded_model import LoadedModel

    if not ray:
        return LoadedModel(path, loras, pick_device(device), precision, offload)
    if device == "auto":
        device = "cuda" if has_gpus(ray, os.cpu_count() or 1) else "cpu"
    loras = tuple(replace(lora, path=lora.path.resolve()) for lora in loras)
    return LoadedModel(path.resolve(), loras, device, precision, offload)


def _open_bundle_model(
    path: Path, loras: tuple[Lora, ...], device: str, precision: Precision, offload: Offload
) -> BundleModel:
    """A bundle, not loaded yet; PresetError for options that only a checkpoint takes."""
    given = {
        "--lora": bool(loras), "--precision": precision != "auto", "--offload": offload != "none"
    }  # fmt: skip
    for option, is_given in given.items():
        if is_given:
            raise PresetError(
                f"{option}: is decided in {path}; export the checkpoint again with it"
            )
    return BundleModel(path, device)
