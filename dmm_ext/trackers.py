"""Log preview clips and scores to TensorBoard and Weights & Biases, with their sound.

sd-scripts logs images to Weights & Biases only, and no sound at all.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from dmm.codec.image import read_image
from dmm.sound.audio import read_audio


def log_preview(
    trackers: Iterable[Any], step: int, images: Sequence[Path], scores: dict[str, float | str]
) -> None:
    """Log mel images, the sound (.flac) beside each, and the scores that are numbers."""
    numbers = {name: value for name, value in scores.items() if not isinstance(value, str)}
    for tracker in trackers:
        if tracker.name == "wandb":
            tracker.log({**_wandb_clips(images), **numbers, "global_step": step})
        else:
            tracker.log(numbers, step=step)
        if tracker.name == "tensorboard":
            _write_clips_to_tensorboard(tracker.writer, step, images)


def _write_clips_to_tensorboard(writer: Any, step: int, images: Sequence[Path]) -> None:
    """Write images and audio to TensorBoard."""
    for path in images:
        levels, fmt = read_image(path)
        sound = read_audio(path.with_suffix(".flac"), fmt.sr, 1)
        writer.add_image(f"preview/{path.stem}", levels, step, dataformats="HW")
        writer.add_audio(f"preview/{path.stem}", sound, step, sample_rate=fmt.sr)


def _wandb_clips(images: Sequence[Path]) -> dict[str, Any]:
    """Images and audio as Weights & Biases takes them."""
    import wandb

    clips: dict[str, Any] = {}
    for path in images:
        clips[f"preview/{path.stem}/sound"] = wandb.Audio(str(path.with_suffix(".flac")))
        clips[f"preview/{path.stem}/mel"] = wandb.Image(str(path))
    return clips
