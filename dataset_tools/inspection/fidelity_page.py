"""Render fidelity.html: players and images of every clip before and after, in one file."""

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
IMAGE_SIZE = (512, 256)
PAGE_BYTES = 14_000_000
"""Largest size of the players and images; further clips have none, but the numbers include them."""
STAGES = {"original": "original", "image": "after the image", "vae": "after the VAE"}
TITLES = {
    "spectral_convergence": ("Spectral convergence", "", "share of the spectrum that is wrong"),
    "log_spectral_db": ("Log-spectral distance", "dB", "mean difference of levels up to 10 kHz"),
    "loudness_lu": ("Loudness", "LU", "restored minus original; 0 is no change"),
    "centroid_ratio": ("Spectral centroid", "×", "restored over original; below 1 is duller"),
    "image_psnr_db": ("Image after the VAE", "dB", "PSNR; higher is closer"),
}
"""Metric: title, unit, meaning."""


@dataclass(frozen=True)
class ClipStages:
    """One clip at each stage (original, after the image, after the VAE): loss, sound and image."""

    id: str
    caption: str
    energy_above_fmax: float
    """Share of its energy above the highest frequency of the format."""
    losses: dict[str, dict[str, float | None]]
    sounds: dict[str, Float[np.ndarray, "channels samples"]]
    images: dict[str, UInt8[np.ndarray, "rows frames *colours"]]


@dataclass(frozen=True)
class Player:
    """A clip at one stage, as data URIs."""

    stage: str
    audio: str
    image: str
    losses: dict[str, float | None]


def render_page(report: dict[str, Any], clips: list[ClipStages], fmt: MelFormat) -> str:
    """Render the page with sound and images inside; texts from files are escaped."""
    return template(TEMPLATE).render(
        report=report,
        rows=list(_clips_with_players(clips, fmt)),
        stages=STAGES,
        titles=TITLES,
    )


def _clips_with_players(
    clips: list[ClipStages], fmt: MelFormat
) -> Iterator[tuple[ClipStages, list[Player]]]:
    """Yield clips with their players, at least one clip, until ``PAGE_BYTES`` are used."""
    left = PAGE_BYTES
    for shown, clip in enumerate(clips):
        players = _stage_players(clip, fmt)
        left -= sum(len(player.audio) + len(player.image) for player in players)
        if left < 0 and shown:
            return
        yield clip, players


def _stage_players(clip: ClipStages, fmt: MelFormat) -> list[Player]:
    """A player with image and losses for each stage of a clip."""
    return [
        Player(
            stage,
            data_uri("audio/flac", audio_bytes(sound, fmt.sr)),
            data_uri("image/png", _page_png(clip.images[stage], fmt)),
            clip.losses.get(stage, {}),
        )
        for stage, sound in clip.sounds.items()
    ]


def _page_png(image: UInt8[np.ndarray, "rows frames *colours"], fmt: MelFormat) -> bytes:
    """PNG of an image at the page's size; grey ones are coloured."""
    scaled = Image.fromarray(np.ascontiguousarray(image))
    scaled = scaled.resize(IMAGE_SIZE, Image.Resampling.BOX)
    return coloured_png(scaled, dark_is_loud=fmt.level_scale == "power")
