"""What a check has to say: one line that names the place, what is wrong and the way out."""

from dataclasses import dataclass

REBUILD = "run the same `dmm data build` again"
"""The remedy for what only a build can write."""


@dataclass(frozen=True)
class Finding:
    """A broken contract; ``str(finding)`` is one line whatever the dataset's texts hold."""

    kind: str
    """Which contract, in a word or two: findings of one kind are counted together."""
    where: str
    """File, clip or track."""
    what: str
    remedy: str

    def __str__(self) -> str:
        """``where: what; remedy``."""
        return " ".join(f"{self.where}: {self.what}; {self.remedy}".split())
