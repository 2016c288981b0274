"""From how many clips on each number can be believed, and what is wrong with fewer.

The limits are where the simulations of ``docs/evaluation.md`` see clear faults without inventing
them. They say nothing about prompts: clips of few prompts stay evidence about these alone.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Trust:
    """The limit of one number."""

    title: str
    trusted_from: int
    """Clips."""
    below: str
    """What is wrong with fewer: the end of a sentence."""

    def caution(self, n: int) -> str | None:
        """A sentence for a value of ``n`` clips, or None if they are enough."""
        if n >= self.trusted_from:
            return None
        clips = "1 clip" if n == 1 else f"{n} clips"
        return (
            f"{self.title} of {clips} is not to be trusted below {self.trusted_from}: {self.below}."
        )


TRUST = {
    "clap_score": Trust("The CLAP score", 10, "single clips move it more than most faults do"),
    "retrieval": Trust("Retrieval", 10, "single clips move it more than most faults do"),
    "diversity": Trust("Diversity", 10, "it is right on average, but single clips move it"),
    "spread": Trust(
        "Variety within or between prompts", 10, "single clips move it more than most faults do"
    ),
    "cosine": Trust(
        "The cosine to real clips", 10, "single clips move it more than most faults do"
    ),
    "kad": Trust("KAD", 10, "its chance swings are greater than most faults"),
    "fad": Trust(
        "FAD", 300, "few clips raise it more than faults do, and bland clips score better than real"
    ),
    "fad_inf": Trust("FAD-inf", 1000, "it is refused, because FAD is no line over 1/n there"),
    "participation_ratio": Trust(
        "The number of directions", 30, "its chance swings are a third of its size and more"
    ),
    "prdc": Trust(
        "Precision, recall or coverage", 100, "chance hides milder faults; below 30 it is refused"
    ),
    "vendi": Trust("The Vendi score", 30, "few clips cannot be many different ones"),
    "memorised": Trust(
        "The flag of memorised clips", 100, "so few held-out clips set its threshold too low"
    ),
}
"""By the name of the metric; the clips of "memorised" are the held-out ones."""
