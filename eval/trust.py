"""Fewest clips for which each metric is reliable, and its flaw for fewer.

The limits come from the simulations of ``docs/evaluation.md``: from there on a metric detects clear
faults without false alarms. Scores of few prompts say nothing about other prompts.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Trust:
    """The limit of one metric."""

    title: str
    trusted_from: int
    """Fewest clips."""
    below: str
    """Flaw of the metric for fewer clips, as the end of a sentence."""

    def caution(self, n: int) -> str | None:
        """Warning for a score of ``n`` clips, or None if they are enough."""
        if n >= self.trusted_from:
            return None
        clips = "1 clip" if n == 1 else f"{n} clips"
        return (
            f"{self.title} of {clips} is unreliable below {self.trusted_from} clips: {self.below}."
        )


TRUST = {
    "clap_score": Trust("The CLAP score", 10, "single clips change it more than most faults do"),
    "retrieval": Trust("Retrieval", 10, "single clips change it more than most faults do"),
    "diversity": Trust("Diversity", 10, "it is unbiased, but single clips change it much"),
    "spread": Trust(
        "Variety within or between prompts", 10, "single clips change it more than most faults do"
    ),
    "cosine": Trust(
        "The cosine to real clips", 10, "single clips change it more than most faults do"
    ),
    "kad": Trust("KAD", 10, "its random variation exceeds most faults"),
    "fad": Trust(
        "FAD", 300, "few clips raise it more than faults do, and bland clips score better than real"
    ),
    "fad_inf": Trust("FAD-inf", 1000, "it is refused, because FAD is not linear in 1/n there"),
    "participation_ratio": Trust(
        "The number of directions", 30, "its random variation is a third of its value or more"
    ),
    "prdc": Trust(
        "Precision, recall or coverage", 100, "chance hides milder faults; below 30 it is refused"
    ),
    "vendi": Trust("The Vendi score", 30, "it cannot exceed the number of clips"),
    "memorised": Trust(
        "The memorisation flag", 100, "so few held-out clips set its threshold too low"
    ),
}
"""Limits by metric; that of "memorised" counts held-out clips."""
VERDICT_CLIPS, VERDICT_TRACKS = 30, 5
"""Fewest clips, and tracks of real clips, for a verdict on a change."""
