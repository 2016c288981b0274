"""Render the page of ``dmm data show --html``: one clip with its image, a player and details."""

from pathlib import Path

import numpy as np

from dmm.codec.mel import MelFormat
from dmm.pages import data_uri, template
from dmm.sound.audio import audio_bytes

from ..dataset import Dataset
from .show import ClipRecord, original_or_decoded_sound, read_coloured_png, word_changes
from .stats_page import format_number

TEMPLATE = Path(__file__).with_name("show.html.jinja")
TICKS_HZ = (100, 500, 1000, 2000, 4000, 8000, 16000)
UNITS = {
    "loudness_lufs": ("Loudness", "LUFS"),
    "peak_db": ("Peak", "dBFS"),
    "gain_db": ("Gain applied", "dB"),
    "clipped": ("Clipped", "of samples"),
    "dc": ("DC offset", ""),
    "silence": ("Silence", "of the clip"),
    "bandwidth_hz": ("Bandwidth", "Hz"),
}
VOTES = {1: "vocal", -1: "instrumental", 0: "no opinion"}


def render_page(dataset: Dataset, details: ClipRecord) -> str:
    """Render a clip's page with image and sound inside; texts from files are escaped."""
    sound, is_original = original_or_decoded_sound(dataset, details)
    return template(TEMPLATE, number=format_number).render(
        details=details,
        row=details.row,
        fmt=dataset.fmt,
        picture=data_uri(
            "image/png", read_coloured_png(dataset.folder / f"{details.relative_stem}.png")
        ),
        audio=data_uri("audio/flac", audio_bytes(sound, dataset.fmt.sr)),
        is_original=is_original,
        ticks=frequency_ticks(dataset.fmt),
        units=UNITS,
        votes=VOTES,
        word_changes=word_changes,
    )


def frequency_ticks(fmt: MelFormat) -> list[tuple[str, float]]:
    """Labels of round frequencies, and their positions in percent from the top of the image."""

    def mel(hz: int | float) -> float:
        return float(np.log10(1 + hz / 700))

    low, high = mel(fmt.fmin), mel(fmt.fmax)
    return [
        (f"{hz // 1000} kHz" if hz >= 1000 else f"{hz} Hz", 100 * (high - mel(hz)) / (high - low))
        for hz in TICKS_HZ
        if fmt.fmin < hz < fmt.fmax * 0.97
    ]
