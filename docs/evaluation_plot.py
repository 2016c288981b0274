"""Make the plots and numbers of evaluation.md by simulation: ``python docs/evaluation_plot.py``.

Real music is simulated by unit vectors in CLAP's 512 dimensions with a diversity of .3, twice that
of the first model's clips: eight kinds around a common direction, with a decaying covariance.
Faults are a shift, a spread of .7, and the loss of six kinds. Fixed seeds; takes five minutes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from eval.intervals import jackknife_interval
from eval.metrics.diversity import mean_cosine_distance, participation_ratio
from eval.metrics.fad import frechet_distance
from eval.metrics.kad import SCALE, kernel_distance, kernel_matrices
from eval.metrics.prdc import MIN_CLIPS, precision_recall_coverage
from eval.metrics.vendi import vendi_score

DIM, KINDS, REFERENCE = 512, 8, 1000
DRAWS = {10: 150, 30: 150, 100: 100, 300: 50, 1000: 30}
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#7a5195")  # distinguishable by colour-blind readers


@dataclass(frozen=True)
class Fault:
    """Simulated difference of a set of clips to real ones."""

    shift: float = 0.0
    """Shift of the common direction."""
    spread: float = 1.0
    """Factor of every distance to the common direction."""
    kinds: int = KINDS


FAULTS = {
    "shifted": Fault(shift=0.18),
    "spread x .7": Fault(spread=0.7),
    "2 kinds of 8": Fault(kinds=2),
}
REAL = Fault()


class Source:
    """Samples embeddings of clips with a mean cosine distance of about ``diversity``."""

    def __init__(self, diversity: float = 0.3, share_of_kinds: float = 0.1):
        rng = np.random.default_rng(0)
        self.axes = np.linalg.qr(rng.normal(size=(DIM, DIM))).Q
        variances = np.arange(1.0, DIM + 1) ** -1.05
        self.scale = np.sqrt(diversity * (1 - share_of_kinds) * variances / variances.sum())
        centres = rng.normal(size=(KINDS, DIM))
        centres /= np.linalg.norm(centres, axis=1, keepdims=True)
        self.centres = np.sqrt(diversity * share_of_kinds) * centres
        self.common = np.sqrt(1 - diversity)

    def draw(self, rng: np.random.Generator, n: int, fault: Fault = REAL) -> np.ndarray:
        """Unit rows, float32, (n, DIM)."""
        around = (rng.normal(size=(n, DIM)) * self.scale) @ self.axes
        around += self.centres[rng.integers(0, fault.kinds, n)]
        middle = self.common * self.axes[0] + fault.shift * self.axes[1]
        rows = middle + fault.spread * around
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def naive_participation_ratio(x: np.ndarray) -> float:
    """The plug-in estimate, which is biased for few clips."""
    values = np.square(np.linalg.svd(x - x.mean(0), compute_uv=False))
    return values.sum() ** 2 / np.square(values).sum()


def measure(x: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """All scores of a set of clips; precision, recall and coverage from 30 clips on."""
    found = {
        "FAD": frechet_distance(x, reference),
        "KAD": kernel_distance(x, reference),
        "diversity": mean_cosine_distance(x),
        "directions": participation_ratio(x),
        "directions, naive": naive_participation_ratio(x),
        "Vendi score": vendi_score(x),
    }
    if len(x) >= MIN_CLIPS:
        shares = precision_recall_coverage(x, reference)
        found |= {name: getattr(shares, name) for name in ("precision", "recall", "coverage")}
    return found


HIGHER_IS_WORSE = ("FAD", "KAD")
SHOWN = ("KAD", "FAD", "diversity", "directions", "Vendi score", "precision", "recall", "coverage")
Values = dict[int, dict[str, np.ndarray]]


def simulate(source: Source, fault: Fault) -> Values:
    """Simulated scores by number of clips, each compared with 1000 other real clips."""
    values: Values = {}
    for n, draws in DRAWS.items():
        rng = np.random.default_rng([1, n])
        rows = [
            measure(source.draw(rng, n, fault), source.draw(rng, REFERENCE)) for _ in range(draws)
        ]
        values[n] = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return values


def power(name: str, bad: np.ndarray, real: np.ndarray) -> float:
    """Share of faulty sets that score worse than 95 of 100 real ones."""
    if name in HIGHER_IS_WORSE:
        return float((bad > np.quantile(real, 0.95)).mean())
    return float((bad < np.quantile(real, 0.05)).mean())


def floors(source: Source, sizes: list[int]) -> np.ndarray:
    """FAD of real clips to 1000 real ones: 5 %, mean and 95 % for each number of clips."""
    rng = np.random.default_rng(2)
    rows = []
    for n in sizes:
        draws = 12 if n > 100 else 40
        found = [
            frechet_distance(source.draw(rng, n), source.draw(rng, REFERENCE)) for _ in range(draws)
        ]
        rows.append([np.quantile(found, 0.05), np.mean(found), np.quantile(found, 0.95)])
    return np.array(rows)


SIZES = [5, 10, 20, 50, 100, 200, 500, 1000]


def draw_bias(real: Values, floor: dict[str, np.ndarray]) -> Figure:
    """Plot the scores of perfect clips over their number."""
    figure = Figure(figsize=(11, 7), layout="constrained")
    FigureCanvasAgg(figure)
    fad, kad, diversity, directions = figure.subplots(2, 2).ravel().tolist()
    for (label, rows), colour in zip(floor.items(), COLOURS, strict=False):
        fad.plot(SIZES, rows[:, 1], "o-", color=colour, label=label)
        fad.fill_between(SIZES, rows[:, 0], rows[:, 2], color=colour, alpha=0.2)
    for edge, says in ((0.4, '"good" from here'), (0.3, '"often memorising" below')):
        fad.axhline(edge, color="#555555", lw=1, ls=":")
        fad.text(SIZES[-1], edge + 0.005, says, ha="right", fontsize=9, color="#555555")
    fad.set(title="FAD of real clips against 1000 real ones; truth 0", ylim=(0, 0.55))
    fad.legend(frameon=False, fontsize=9)
    _band(kad, real, "KAD", COLOURS[0])
    kad.axhline(0, color="#555555", lw=1, ls=":")
    kad.set(title="KAD of the same; truth 0")
    _band(diversity, real, "diversity", COLOURS[0])
    diversity.set(title="Diversity of real clips", ylim=(0, 0.4))
    _band(directions, real, "directions", COLOURS[0])
    _band(directions, real, "directions, naive", COLOURS[1])
    _band(directions, real, "Vendi score", COLOURS[2])
    directions.set(title="Effective directions, and the Vendi score", ylim=(0, 120))
    directions.legend(frameon=False, fontsize=9)
    for panel in (fad, kad, diversity, directions):
        panel.set_xscale("log")
        panel.set_xticks(list(DRAWS), [str(n) for n in DRAWS])
        panel.minorticks_off()
        panel.set(xlabel="clips")
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    return figure


def _band(panel: Axes, values: Values, name: str, colour: str) -> None:
    """Plot the mean over simulated sets, and the range of 90 % of them."""
    sizes = list(values)
    low, high = (np.array([np.quantile(values[n][name], q) for n in sizes]) for q in (0.05, 0.95))
    panel.plot(sizes, [values[n][name].mean() for n in sizes], "o-", color=colour, label=name)
    panel.fill_between(sizes, low, high, color=colour, alpha=0.2)


def draw_power(table: dict[str, np.ndarray]) -> Figure:
    """Plot the detection rate of each fault by each score, with percentages."""
    figure = Figure(figsize=(11, 3.9), layout="constrained")
    FigureCanvasAgg(figure)
    for panel, (fault, shares) in zip(figure.subplots(1, 3).tolist(), table.items(), strict=True):
        panel.imshow(shares, vmin=0, vmax=1, cmap="Blues", aspect="auto")
        panel.set_xticks(range(len(DRAWS)), [str(n) for n in DRAWS])
        panel.set_yticks(range(len(SHOWN)), SHOWN)
        panel.set(title=fault, xlabel="clips")
        for (row, column), share in np.ndenumerate(shares):
            text = "refused" if np.isnan(share) else f"{share:.0%}"
            colour = "white" if share > 0.6 else "black"
            panel.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
    return figure


def power_table(source: Source, real: Values) -> dict[str, np.ndarray]:
    """Detection rates by fault: (scores, numbers of clips); NaN if a score is refused."""
    table = {}
    for title, fault in FAULTS.items():
        bad = simulate(source, fault)
        shares = [
            [power(name, bad[n][name], real[n][name]) if name in bad[n] else np.nan for n in DRAWS]
            for name in SHOWN
        ]
        table[title] = np.array(shares)
        print_means(title, bad)
    return table


def print_means(title: str, values: Values) -> None:
    """Print mean and standard deviation over simulated sets."""
    print(f"\n{title}", *values, sep="\t")
    for name in values[max(values)]:
        cells = (values[n].get(name) for n in values)
        print(
            name, *("-" if c is None else f"{c.mean():.3f}+-{c.std():.3f}" for c in cells), sep="\t"
        )


def print_coverage(source: Source) -> None:
    """Print the coverage of 95 % intervals by jackknife-t and by a bootstrap of clips."""
    rng = np.random.default_rng(3)
    reference, fault = source.draw(rng, REFERENCE), FAULTS["spread x .7"]
    many = source.draw(rng, 8000, fault)
    truths = {"KAD": kernel_distance(many, reference), "diversity": mean_cosine_distance(many)}
    print("\ncoverage of 95 % intervals", "clips", "jackknife-t", "bootstrap of clips", sep="\t")
    for name, truth in truths.items():
        for n in (10, 30, 100):
            held = []
            for _ in range(100):
                x = source.draw(rng, n, fault)
                left_out, repeated = _scores(name, x, reference)
                spans = (jackknife_interval(left_out, range(n)), _bootstrap(repeated, n, rng))
                held.append([span is not None and span[0] <= truth <= span[1] for span in spans])
            print(name, n, *np.mean(held, axis=0), sep="\t")


Score = Callable[[np.ndarray], float]


def _scores(name: str, x: np.ndarray, reference: np.ndarray) -> tuple[Score, Score]:
    """The score of kept rows, and a variant that treats repeated rows as equal."""
    if name == "diversity":
        return (lambda keep: mean_cosine_distance(x[keep])), (
            lambda keep: mean_cosine_distance(x[keep])
        )
    sums, n = kernel_matrices(x, reference), len(x)
    equal = replace(sums, xx=sums.xx + np.eye(n))
    return sums.distance, lambda keep: equal.distance(keep) - SCALE / (n - 1)


def _bootstrap(score: Score, n: int, rng: np.random.Generator) -> tuple[float, float]:
    low, high = np.quantile([score(rng.integers(0, n, n)) for _ in range(200)], [0.025, 0.975])
    return float(low), float(high)


def main() -> None:
    """Simulate, print and plot."""
    source, folder = Source(), Path(__file__).parent
    real = simulate(source, REAL)
    print_means("real", real)
    floor = {f"diversity of real clips {d:g}": floors(Source(d), SIZES) for d in (0.3, 0.136)}
    for label, rows in floor.items():
        print(f"\nFAD floor, {label}", *SIZES, sep="\t")
        print("mean", *(f"{value:.3f}" for value in rows[:, 1]), sep="\t")
    table = power_table(source, real)
    for title, shares in table.items():
        print(f"\npower, {title}", *DRAWS, sep="\t")
        for name, row in zip(SHOWN, shares, strict=True):
            print(name, *("-" if np.isnan(s) else f"{s:.0%}" for s in row), sep="\t")
    print_coverage(source)
    for name, figure in (("bias", draw_bias(real, floor)), ("power", draw_power(table))):
        figure.savefig(folder / f"evaluation-{name}.png", dpi=80, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main()
