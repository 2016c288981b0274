"""Measure the loss of sound by mel images and a base model's VAE: ``dmm data fidelity DATASET``.

Test clips go sound -> mel image -> sound and, with a base model, image -> VAE -> image -> sound.
A LoRA on that base cannot sound better: its images come from the same VAE, its sound from them.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from dmm.checkpoints.header import read_metadata
from dmm.codec.decode import decode
from dmm.codec.mel import MelFormat, encode
from dmm.errors import InputError
from dmm.files import folder_lock, read_text, sha256_file, write_text
from dmm.progress import progress_bar
from dmm.sound.audio import read_audio
from dmm.sound.loudness import loudness_lufs
from dmm.training.sound_limits import write_sound_limits

from ..dataset import read_built
from ..sources import Sound
from .base_vae import MelImage, Vae, load_vae_round_trip
from .fidelity_page import ClipStages, render_page
from .fidelity_summary import expectation_sentences, vae_sentences

SCHEMA = 1
"""Version of fidelity.json; increased when a key changes its meaning."""
N_FFT, CEILING_HZ, FLOOR_DB = 2048, 10_000, -80


@dataclass(frozen=True)
class RestorationLoss:
    """Differences between a restored clip and the original."""

    spectral_convergence: float
    """||X - Y|| / ||X|| over STFT magnitudes at the gain that fits best; 0 is no loss."""
    log_spectral_db: float
    """Mean level difference up to 10 kHz at the same gain; levels are at least the maximum - 80
    dB."""
    loudness_lu: float | None
    """Restored minus original, BS.1770; None for silence."""
    centroid_ratio: float
    """Spectral centroid, restored over original; below 1 is duller."""
    image_psnr_db: float | None = None
    """PSNR of the image after the VAE; None without a VAE."""


def write_fidelity_report(
    dataset: Path, base: Path | None, out: Path | None, clips: int = 12, seed: int = 0
) -> dict[str, Any]:
    """Write ``fidelity.json`` and ``.html`` into ``out``, if given; returns the JSON's content.

    ``seed`` chooses the ``clips`` test clips. What a base loses is kept in the dataset too, for
    ``dmm train --check``; without ``out`` nothing else is written. InputError without a test split
    with sound or if another command writes to ``out``, ModelError for a base that is no SD 1.5 or
    SDXL checkpoint.
    """
    with folder_lock(out) if out else nullcontext():
        return _measure_and_write(dataset, base, out, clips, seed)


def _measure_and_write(
    dataset: Path, base: Path | None, out: Path | None, clips: int, seed: int
) -> dict[str, Any]:
    built, fmt = read_built(dataset)
    channels = 2 if built["options"].get("stereo") else 1
    found = sorted(p for p in (dataset / "test").glob("*.flac") if p.with_suffix(".png").is_file())
    if not found:
        raise InputError(
            f"{dataset}: no test clips with their sound in test/; build it with --test 0.1 or more"
        )
    chosen = sorted(found, key=lambda path: _seeded_sort_key(seed, path.stem))[:clips]
    vae = load_vae_round_trip(base) if base else None
    measured = []
    with progress_bar("fidelity", len(chosen)) as advance:
        for path in chosen:
            measured.append(measure_clip(path, fmt, channels, vae))
            advance()
    report = _report_json(dataset, base, fmt, seed, len(found), measured)
    report["expect"] = expectation_sentences(report)
    if base:
        write_sound_limits(dataset, base, len(measured), vae_sentences(report))
    if out is None:
        return report
    write_text(out / "fidelity.json", json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    write_text(out / "fidelity.html", render_page(report, measured, fmt))
    return report


def _seeded_sort_key(seed: int, clip_id: str) -> str:
    return hashlib.sha256(f"{seed} {clip_id}".encode()).hexdigest()


def measure_clip(path: Path, fmt: MelFormat, channels: int, vae: Vae | None) -> ClipStages:
    """Restore one clip from its image, and from the image after the VAE; measure the losses.

    ``path`` is the clip's sound; its caption is in ``ID.txt`` beside it. InputError if the sound is
    shorter than a clip of ``fmt``.
    """
    original = read_audio(path, fmt.sr, channels)
    if original.shape[1] < fmt.clip_samples:
        raise InputError(f"{path}: shorter than a clip of {fmt.name!r}; build the dataset again")
    original = original[:, : fmt.clip_samples]
    image = encode(original, fmt)
    sounds, images = {"original": original}, {"original": image}
    losses = {}
    sounds["image"] = decode(image, fmt)
    images["image"] = encode(sounds["image"], fmt)
    losses["image"] = asdict(measure_loss(original, sounds["image"], fmt.sr))
    if vae is not None:
        images["vae"] = vae(image)
        sounds["vae"] = decode(images["vae"], fmt)
        psnr = {"image_psnr_db": psnr_db(image, images["vae"])}
        losses["vae"] = asdict(measure_loss(original, sounds["vae"], fmt.sr)) | psnr
    text = path.with_suffix(".txt")
    caption = read_text(text).strip() if text.is_file() else path.stem
    above = energy_share_above(original, fmt.sr, fmt.fmax)
    return ClipStages(path.stem, caption, above, losses, sounds, images)


def measure_loss(original: Sound, restored: Sound, sr: int) -> RestorationLoss:
    """Measure the loss over all channels together, with the metrics of benchmarks/codec.py.

    Not defined for silence.
    """
    x, y = stft_magnitudes(original), stft_magnitudes(restored)
    gain = (x * y).sum() / max((y * y).sum(), 1e-20)
    floor = x.max() * 10 ** (FLOOR_DB / 20)
    levels = [20 * np.log10(np.maximum(z, floor)) for z in (x, gain * y)]
    top = int(CEILING_HZ / sr * N_FFT) + 1
    change_lu = loudness_lufs(restored, sr) - loudness_lufs(original, sr)
    return RestorationLoss(
        float(np.linalg.norm(x - gain * y) / np.linalg.norm(x)),
        float(np.abs(levels[0] - levels[1])[:top].mean()),
        float(change_lu) if isfinite(change_lu) else None,
        centroid_hz(y, sr) / max(centroid_hz(x, sr), 1e-9),
    )


def stft_magnitudes(sound: Sound) -> Float[np.ndarray, "bins frames"]:
    """STFT magnitudes with a Hann window, a quarter of it as hop; channels are concatenated."""
    from scipy import signal

    step = {"noverlap": N_FFT * 3 // 4, "padded": False}
    return np.concatenate(
        [np.abs(signal.stft(channel, nperseg=N_FFT, **step)[2]) for channel in sound], axis=1
    )


def centroid_hz(magnitude: Float[np.ndarray, "bins frames"], sr: int) -> float:
    """Frequency at the mean of the spectrum's magnitude."""
    spectrum = magnitude.sum(1, dtype=np.float64)
    return float((np.arange(len(spectrum)) * spectrum).sum() / max(spectrum.sum(), 1e-20)) * (
        sr / N_FFT
    )


def energy_share_above(sound: Sound, sr: int, hz: float) -> float:
    """Share of the energy above a frequency, 0..1."""
    power = np.square(stft_magnitudes(sound), dtype=np.float64).sum(1)
    above = np.arange(len(power)) * sr / N_FFT > hz
    return float(power[above].sum() / max(power.sum(), 1e-20))


def psnr_db(original: MelImage, restored: MelImage) -> float:
    """Peak signal-to-noise ratio of two 8-bit images, at most 100 dB, which equal ones have."""
    error = np.mean(np.square(original.astype(np.float64) - restored))
    return 100.0 if error == 0 else min(100.0, float(10 * np.log10(255**2 / error)))


def _report_json(
    dataset: Path,
    base: Path | None,
    fmt: MelFormat,
    seed: int,
    n_test: int,
    measured: list[ClipStages],
) -> dict[str, Any]:
    """Compose the content of ``fidelity.json``, but for ``expect``."""
    return {
        "schema": SCHEMA,
        "dataset": str(dataset),
        "format": fmt.model_dump(),
        "base": str(base) if base else None,
        "base_sha256": sha256_file(base) if base else None,
        "base_format": read_metadata(base).get("dmm_format") if base else None,
        "seed": seed,
        "n": len(measured),
        "test_clips": n_test,
        "energy_above_fmax": _summary_statistics([clip.energy_above_fmax for clip in measured]),
        "stages": {stage: dict(_stage_statistics(stage, measured)) for stage in measured[0].losses},
        "clips": [
            {"id": c.id, "caption": c.caption, "energy_above_fmax": c.energy_above_fmax, **c.losses}
            for c in measured
        ],
    }


def _stage_statistics(
    stage: str, measured: list[ClipStages]
) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield the name and statistics of each loss after a stage; unmeasured ones are left out."""
    for name in RestorationLoss.__annotations__:
        values = [clip.losses[stage][name] for clip in measured]
        if known := [value for value in values if value is not None]:
            yield name, _summary_statistics(known)


def _summary_statistics(values: list[float]) -> dict[str, float]:
    """Mean, standard deviation between clips (0 for a single one), minimum and maximum."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    mean, least, most = (float(f(values)) for f in (np.mean, np.min, np.max))
    return {"mean": mean, "std": deviation, "least": least, "most": most}
