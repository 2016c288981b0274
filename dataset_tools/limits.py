"""Limits of quality that the clips of a dataset must keep; importing them is fast."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits that a clip must keep to be trained on."""

    max_clipped: float = 0.01
    """Limited music, whose peaks only touch full scale, stays far below. Sound that was clipped and
    then resampled or lossily coded has no flat tops any more, so its share is 0."""
    max_dc: float = 0.05
    """A DC offset clicks at the clip's ends and costs headroom; converters leave under 0.01."""
    max_silence: float = 0.5
    """The caption describes the sound, so at least half of the clip must have some."""
    min_bandwidth_hz: float = 0.0
    """0 is off, because a flute has no more bandwidth than an upsampled file. 15000 finds sound
    that passed through 22 or 32 kHz or a low-rate codec. It must be below half of ``sr``."""
