"""fidelity.html: every clip before and after, to hear and see; nothing is loaded from afar."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from dmm.codec.mel import MelFormat
from dmm.pages import coloured_png, data_uri, template
from dmm.sound.audio import audio_bytes

TEMPLATE = Path(__file__).with_name("fidelity.html.jinja")
PICTURE_SIZE = (512, 256)
PAGE_BYTES = 14_000_000
"""Clips get no players once the page would be longer; the numbers are of all."""
STAGES = {"original": "original", "image": "after the image", "vae": "after the VAE"}
TITLES = {
    "spectral_convergence": ("Spectral convergence", "", "share of the spectrum that is off"),
    "log_spectral_db": ("Log-spectral distance", "dB", "mean difference of levels up to 10 kHz"),
    "loudness_lu": ("Loudness", "LU", "restored less original; 0 is no change"),
    "centroid_ratio": ("Spectral centroid", "×", "restored over original; below 1 is duller"),
    "image_psnr_db": ("Picture after the VAE", "dB", "PSNR; higher is closer"),
}
"""Metric: title, unit, meaning."""


@dataclass(frozen=True)
class Heard:
    """One clip on its way: by stage what it lost, how it sounds and looks."""

    id: str
    caption: str
    above: float
    """Share of its energy above the format's top frequency."""
    losses: dict[str, dict[str, float | None]]
    sounds: dict[str, Float[np.ndarray, "channels samples"]]
    pictures: dict[str, UInt8[np.ndarray, "rows frames *colours"]]


@dataclass(frozen=True)
class Player:
    """A clip at one stage, as data URIs."""

    stage: str
    audio: str
    picture: str
    losses: dict[str, float | None]


def render_page(report: dict[str, Any], heard: list[Heard], fmt: MelFormat) -> str:
    """Draw the page with sound and pictures inside; everything a file says is escaped."""
    return template(TEMPLATE).render(
        report=report,
        rows=list(_rows(heard, fmt)),
        stages=STAGES,
        titles=TITLES,
    )


def _rows(heard: list[Heard], fmt: MelFormat) -> Iterator[tuple[Heard, list[Player]]]:
    """Clips with their players, one at least."""
    left = PAGE_BYTES
    for shown, clip in enumerate(heard):
        players = _players(clip, fmt)
        left -= sum(len(player.audio) + len(player.picture) for player in players)
        if left < 0 and shown:
            return
        yield clip, players


def _players(clip: Heard, fmt: MelFormat) -> list[Player]:
    return [
        Player(
            stage,
            data_uri("audio/flac", audio_bytes(sound, fmt.sr)),
            data_uri("image/png", _png(clip.pictures[stage], fmt)),
            clip.losses.get(stage, {}),
        )
        for stage, sound in clip.sounds.items()
    ]


def _png(image: UInt8[np.ndarray, "rows frames *colours"], fmt: MelFormat) -> bytes:
    """A picture at the page's size, grey ones in colour."""
    picture = Image.fromarray(np.ascontiguousarray(image))
    picture = picture.resize(PICTURE_SIZE, Image.Resampling.BOX)
    return coloured_png(picture, dark_is_loud=fmt.level_scale == "power")
