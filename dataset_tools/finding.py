"""A fault that a check found in a dataset: where it is, what is wrong, and the remedy."""

from dataclasses import dataclass

REBUILD = "run the same `dmm data build` again"
"""The remedy for faults in files that only a build writes."""
EDIT_AGAIN = "correct it in the exported table and run `dmm data captions import` again"
"""The remedy for faults of captions that were edited by hand, which every build keeps."""


@dataclass(frozen=True)
class Finding:
    """A fault of a dataset; ``str(finding)`` is always one line."""

    kind: str
    """The contract that is broken, in a word or two; findings are grouped by it."""
    where: str
    """File, clip or track."""
    what: str
    remedy: str

    def __str__(self) -> str:
        """``where: what; remedy``."""
        return " ".join(f"{self.where}: {self.what}; {self.remedy}".split())
