"""Alarm for mode collapse: clips of one prompt that become more and more alike.

It reads each preview's diversity within a prompt (``preview/prompt_diversity``), and goes off after
several previews in a row below its bound: a floor, or a share of the first preview's diversity,
which the base model has before training. One preview is a handful of clips: a single low value says
little. Usual diversity differs between embedders; the share fits all of them.
"""

from typing import Any

REMEDY = (
    "lower the rank and alpha or the learning rate, use a larger batch, or add a little noise "
    "offset; a LoRA saved before the fall may be the better one"
)
"""Changes that helped the project's first model, or undo what caused its collapse."""


FALL = 0.6
"""Share of the first preview's diversity below which a preview counts as collapsed."""


class CollapseAlarm:
    """Alarm that is on after ``patience`` previews in a row below the bound."""

    message: str | None = None
    """Warning for the user while the alarm is on."""

    def __init__(self, floor: float, patience: int, stops: bool = False) -> None:
        """ValueError for a patience below 1."""
        if patience < 1:
            raise ValueError(f"patience is 1 preview or more; got {patience}")
        self.floor, self.patience, self.stops = floor, patience, stops
        self.low: list[float] = []
        self.last_good: int | None = None
        self.first: float | None = None

    @property
    def bound(self) -> float:
        """Diversity below which a preview counts as collapsed."""
        return max(self.floor, FALL * (self.first or 0.0))

    def update(self, step: int, prompt_diversity: float) -> str | None:
        """Record a preview; returns the warning for the user if the alarm is on, else None."""
        if self.first is None:
            self.first = prompt_diversity
        if prompt_diversity < self.bound:
            self.low = [*self.low, prompt_diversity][-self.patience :]
        else:
            self.low, self.last_good = [], step
        self.message = self._warning(step) if len(self.low) == self.patience else None
        return self.message

    def _warning(self, step: int) -> str:
        """The text of the alarm."""
        values = ", ".join(f"{value:.3f}" for value in self.low)
        good = "" if self.last_good is None else f", last above it at step {self.last_good}"
        end = "training stops" if self.stops else "training goes on (collapse_stop would end it)"
        return (
            f"mode collapse at step {step}: diversity within a prompt is {values} in the last "
            f"{self.patience} previews, below {self._bound_text()}{good}; {end}; {REMEDY}"
        )

    def _bound_text(self) -> str:
        if self.bound == self.floor or self.first is None:
            return f"the floor of {self.floor:g}"
        return f"{FALL:.0%} of the first preview's {self.first:.3f}"

    def state(self) -> dict[str, Any]:
        """The counts to save for a resume, as JSON values."""
        return {"low": self.low, "last_good": self.last_good, "first": self.first}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a state's counts; floor and patience are those of the current settings."""
        self.low = [float(value) for value in state["low"]][-self.patience :]
        self.last_good = state["last_good"]
        self.first = state.get("first")  # missing in states before 2026-11-29
