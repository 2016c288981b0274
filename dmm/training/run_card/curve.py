"""``curve.png``: plots of a training's ``metrics.jsonl``."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from ...files import whole_file
from ..runs import MetricLine, read_metric_lines, series

COLOURS = ("#8c226a", "#e0782c", "#1f7a8c", "#36105c", "#de4c4a")
GREY = "#666677"
COLUMNS = 3
MEDIAN_SHARE = 25
"""The window of the loss's moving median is all points divided by this."""
DOTS_UP_TO = 60
"""A line with at most this many points shows them as dots."""
PANELS = {
    "validation loss, lower is better": {"validation_loss": ""},
    "learning rate": {},
    "Huber threshold": {"huber_threshold": ""},
    "previews: similarity to the prompt, higher is better": {"preview/similarity": ""},
    "previews: FAD, lower is better": {"preview/fad": ""},
    "previews: diversity, higher is more varied": {
        "preview/diversity": "all clips",
        "preview/prompt_diversity": "within a prompt",
    },
}
"""Small panels: title to key and label of each line; learning rates find their own keys."""

Panel = Callable[[Any], None]
"""Function that draws one panel on the given matplotlib axes."""


def write_curve(run: Path) -> Path | None:
    """Plot ``curve.png`` in a RUN folder; None, and no file, if nothing was measured yet.

    The training loss is on top, other values in small panels below; unmeasured ones have no panel.
    """
    lines = read_metric_lines(run / "metrics.jsonl")
    large = [_loss_panel(lines)] if _is_measured(lines, "loss") else []
    small = [
        _line_panel(title, labels, lines)
        for title, fixed in PANELS.items()
        if (
            labels := {
                k: v for k, v in (fixed or _rate_labels(lines)).items() if _is_measured(lines, k)
            }
        )
    ]
    if not large and not small:
        return None
    steps = [int(line["step"]) for line in lines]
    figure = _make_figure(large, small, (min(0, *steps), max(1, *steps)))
    with whole_file(run / "curve.png") as partial:
        figure.savefig(partial, format="png", dpi=110, metadata={"Software": None})
    return run / "curve.png"


def moving_median(
    values: Float[np.ndarray, " points"], width: int, most: int = 400
) -> tuple[Int[np.ndarray, " places"], Float[np.ndarray, " places"]]:
    """Medians of the ``width`` values around at most ``most`` places; returns (places, medians).

    Windows are shorter at both ends. Values that are not finite are skipped; without any finite
    value the median is NaN. A mean would follow the few steps whose timestep has a large loss.

    >>> places, medians = moving_median(np.array([0.0, 3.0, np.nan, 9.0, 9.0]), 3)
    >>> medians.tolist()
    [1.5, 1.5, 6.0, 9.0, 9.0]
    """
    places = np.unique(np.linspace(0, len(values) - 1, min(most, len(values))).astype(int))
    before = width // 2
    windows = [values[max(0, at - before) : at - before + width] for at in places]
    finite = [window[np.isfinite(window)] for window in windows]
    return places, np.array([np.median(window) if len(window) else np.nan for window in finite])


def _make_figure(large: Sequence[Panel], small: Sequence[Panel], span: tuple[int, int]) -> Any:
    """A figure without pyplot, whose state all of a process shares."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-len(small) // COLUMNS)
    figure = Figure(figsize=(12, 3.4 * len(large) + 2.4 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    heights = [3.4] * len(large) + [2.4] * rows
    grid = figure.add_gridspec(len(heights), COLUMNS, height_ratios=heights)
    cells = [grid[row, :] for row in range(len(large))]
    cells += [grid[len(large) + i // COLUMNS, i % COLUMNS] for i in range(len(small))]
    for cell, panel in zip(cells, (*large, *small), strict=True):
        axes = figure.add_subplot(cell)
        panel(axes)
        _style_axes(axes, span)
    return figure


def _style_axes(axes: Any, span: tuple[int, int]) -> None:
    """The common look; all panels share one span of steps."""
    axes.set_xlim(span[0], span[1] + 0.012 * (span[1] - span[0]))  # room for the last dot
    axes.set_xlabel("step", fontsize=8, color=GREY)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, colors=GREY)
    if entries := len(axes.get_legend_handles_labels()[0]):
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.12 * entries * (high - low))  # the legend hides no line
        axes.legend(loc="upper right", fontsize=8, frameon=False)


def _loss_panel(lines: Sequence[MetricLine]) -> Panel:
    """A panel with the loss of every step, faint, and its moving median on top."""
    steps, values = series(lines, "loss")
    width = max(1, len(values) // MEDIAN_SHARE)

    def draw(axes: Any) -> None:
        axes.set_title("training loss", loc="left", fontsize=11)
        faint = 0.3 if width > 1 else 1.0
        axes.plot(steps, values, color=COLOURS[0], alpha=faint, linewidth=0.8, label="one step")
        if width > 1:
            places, medians = moving_median(values, width)
            label = f"median of {width} steps"
            axes.plot(steps[places], medians, color=COLOURS[0], linewidth=1.8, label=label)
        broken = steps[~np.isfinite(values)]
        if len(broken):
            axes.axvline(broken[0], color=COLOURS[4], linestyle=":", label="not finite from here")
        _cut_off_peaks(axes, values)

    return draw


def _cut_off_peaks(axes: Any, values: Float[np.ndarray, " points"]) -> None:
    """Limit the y axis where few steps are far above all others, so that these stay visible."""
    finite = values[np.isfinite(values)]
    if len(finite) < MEDIAN_SHARE:
        return
    low, high = np.percentile(finite, [0, 99])
    if finite.max() > high + (high - low):
        axes.set_ylim(low - 0.05 * (high - low), high + 0.25 * (high - low))


def _line_panel(title: str, labels: dict[str, str], lines: Sequence[MetricLine]) -> Panel:
    """A panel with a line for each of these metrics."""

    def draw(axes: Any) -> None:
        axes.set_title(title, loc="left", fontsize=9)
        for colour, (key, label) in zip(_colours(len(labels)), labels.items(), strict=True):
            steps, values = series(lines, key)
            dot = "o" if len(values) <= DOTS_UP_TO else None
            axes.plot(steps, values, color=colour, marker=dot, markersize=3, label=label or None)
        if "validation_loss" in labels:
            _mark_lowest(axes, *series(lines, "validation_loss"))

    return draw


def _mark_lowest(
    axes: Any, steps: Float[np.ndarray, " points"], values: Float[np.ndarray, " points"]
) -> None:
    """Mark the lowest finite value."""
    if np.isfinite(values).any():
        best = int(np.nanargmin(np.where(np.isfinite(values), values, np.nan)))
        label = f"lowest: {values[best]:.4g} at step {steps[best]:.0f}"
        axes.plot(steps[best], values[best], "o", color=COLOURS[1], markersize=7, label=label)


def _colours(count: int) -> list[str]:
    return [COLOURS[index % len(COLOURS)] for index in range(count)]


def _is_measured(lines: Sequence[MetricLine], key: str) -> bool:
    return len(series(lines, key)[0]) > 0


def _rate_labels(lines: Sequence[MetricLine]) -> dict[str, str]:
    """Keys of the learning rates with their labels; groups with equal rates share a line."""
    keys = dict.fromkeys(key for line in lines for key in line if key.startswith("lr/"))
    groups: dict[bytes, list[str]] = {}
    for key in keys:
        groups.setdefault(np.stack(series(lines, key)).tobytes(), []).append(key)
    names = {same[0]: [key.removeprefix("lr/") for key in same] for same in groups.values()}
    return {key: ", ".join(same) if len(names) > 1 else "" for key, same in names.items()}
