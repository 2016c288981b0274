"""Draw ``huber.png`` and print the numbers of ``huber.md``: ``python docs/huber_plot.py``.

The engine's values come from the engine's own function, so ``dmm setup`` must have fetched it.
Importing it takes some 20 s.
"""

import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from dmm.engine import find_engine
from dmm_ext.huber import CURVES, huber_threshold, value_over_training

T = 1000
STEPS = torch.arange(T)
# Stable Diffusion's noise: the square roots of beta are evenly spaced.
ALPHAS = (1 - torch.linspace(0.00085**0.5, 0.012**0.5, T) ** 2).cumprod(0)
SCHEDULES = ("constant", "exponential", "snr")
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#7a5195")  # colour-blind safe
SHOWN = (0, 100, 250, 500, 750, 999)
Engine = Callable[[str, float, float], Tensor]


def engine() -> Engine:
    """The engine's function from (schedule, huber_c, huber_scale) to a threshold per timestep."""
    sys.path.insert(0, str(find_engine()))
    from library import train_util  # pyright: ignore[reportMissingImports]

    config = SimpleNamespace(num_train_timesteps=T)
    scheduler = SimpleNamespace(config=config, alphas_cumprod=ALPHAS)

    def values(schedule: str, c: float, scale: float) -> Tensor:
        names = {"loss_type": "huber", "huber_schedule": schedule}
        args = Namespace(**names, huber_c=c, huber_scale=scale)
        return train_util.get_huber_threshold_if_needed(args, STEPS, scheduler)

    return values


def ours(schedule: str, start: float = 0.15, end: float = 0.05) -> Tensor:
    """Our threshold at every timestep with ``huber_over = "timestep"``."""
    ends = {"huber_start": start, "huber_end": end, "huber_over": "timestep"}
    args = Namespace(loss_type="huber", huber_schedule=schedule, **ends)
    values = huber_threshold(args, STEPS, ALPHAS, progress=0.0)
    assert values is not None
    return values


def gradient(residual: Tensor, limit: float) -> Tensor:
    """Gradient of the engine's Huber loss with respect to the residual, by autograd."""
    from library import train_util  # pyright: ignore[reportMissingImports]

    inputs = residual.clone().requires_grad_()
    target, limits = torch.zeros_like(inputs), torch.full((1,), limit)
    train_util.conditional_loss(inputs, target, "huber", "sum", limits).backward()
    assert inputs.grad is not None
    return inputs.grad


def draw(theirs: Engine) -> Figure:
    """Figure with the four panels."""
    figure = Figure(figsize=(11, 8), layout="constrained")
    FigureCanvasAgg(figure)
    panels: list[Axes] = figure.subplots(2, 2).ravel().tolist()
    over_timesteps(panels[0], theirs)
    over_training(panels[1])
    by_scale(panels[2], theirs)
    gradients(panels[3])
    for panel in panels:
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(frameon=False, fontsize=9)
    return figure


def over_timesteps(panel: Axes, theirs: Engine) -> None:
    """Plot thresholds by timestep: solid the engine's defaults, dashed ours between two ends."""
    for schedule, colour in zip(SCHEDULES, COLOURS, strict=False):
        label = f"engine, {schedule}, huber_c .1"
        panel.plot(STEPS, theirs(schedule, 0.1, 1.0), color=colour, lw=2, label=label)
        if schedule != "constant":
            label = f"ours, {schedule}, .15 to .05"
            panel.plot(STEPS, ours(schedule), color=colour, lw=2, ls="--", label=label)
    panel.set(title="Over the timestep", xlabel="timestep t (noise grows)", ylabel="threshold")
    panel.set_yscale("log")
    panel.set_yticks([0.05, 0.1, 0.2, 0.5, 1], ["0.05", "0.1", "0.2", "0.5", "1"])
    panel.minorticks_off()


def over_training(panel: Axes) -> None:
    """Plot the four curves of ``huber_over = "training"``."""
    progress = torch.linspace(0, 1, 1001).tolist()
    for curve, colour in zip(CURVES, COLOURS, strict=True):
        values = [value_over_training(0.15, 0.05, p, curve) for p in progress]
        panel.plot(progress, values, color=colour, lw=2, label=curve)
    panel.set(title="Over training, .15 to .05", xlabel="fraction of the training")
    panel.set(ylabel="threshold, the same at every t", ylim=(0, 0.2))


def by_scale(panel: Axes, theirs: Engine) -> None:
    """Plot the engine's schedules at two scales."""
    for schedule, colour in zip(SCHEDULES, COLOURS, strict=False):
        for scale, style in ((1.0, "-"), (2.0, "--")):
            values = theirs(schedule, 0.1, scale)
            width, shade = (5, 0.35) if scale == 1 else (2, 1)
            label = f"{schedule}, scale {scale:.0f}"
            panel.plot(STEPS, values, style, color=colour, lw=width, alpha=shade, label=label)
    panel.set(title="The engine's huber_scale at huber_c .1: snr ignores it")
    panel.set(xlabel="timestep t", ylabel="threshold", ylim=(0, 2.1))


def gradients(panel: Axes) -> None:
    """Plot the gradient by residual for four thresholds, and that of l2."""
    residual = torch.linspace(0, 1, 501)
    for limit, colour in zip((1.0, 0.15, 0.1, 0.05), COLOURS, strict=True):
        values = gradient(residual, limit)
        panel.plot(residual, values, color=colour, lw=2, label=f"huber, threshold {limit:g}")
    panel.plot(residual, 2 * residual, color="#555555", lw=1.5, ls=":", label="l2")
    panel.set(title="Gradient by residual", xlabel="residual", ylabel="gradient")
    panel.set(ylim=(0, 0.8))


def print_numbers(theirs: Engine) -> None:
    """Print the rows of the tables in ``huber.md``."""
    lines = {f"engine {s}, c .1, scale {k:g}": theirs(s, 0.1, k) for s in SCHEDULES for k in (1, 2)}
    lines["engine exponential, c 1/3, scale .15"] = theirs("exponential", 0.05 / 0.15, 0.15)
    lines |= {f"ours {s}, .15 to .05": ours(s) for s in SCHEDULES[1:]}
    print("t", *SHOWN, sep="\t")
    for name, values in lines.items():
        print(name, *(f"{values[t]:.4f}" for t in SHOWN), sep="\t")
    for curve in CURVES:
        shown = (value_over_training(0.15, 0.05, p, curve) for p in (0, 0.25, 0.5, 0.75, 1))
        print(f"training {curve}", *(f"{value:.4f}" for value in shown), sep="\t")
    residual = torch.tensor([0.02, 0.05, 0.1, 0.3, 1.0])
    print("gradient at", *(f"{value:g}" for value in residual.tolist()), sep="\t")
    for limit in (0.15, 0.1, 0.05):
        print(limit, *(f"{value:.4f}" for value in gradient(residual, limit)), sep="\t")


def main() -> None:
    """Draw the figure and print the numbers."""
    theirs = engine()
    path = Path(__file__).with_name("huber.png")
    draw(theirs).savefig(path, dpi=90, pil_kwargs={"optimize": True})
    print_numbers(theirs)


if __name__ == "__main__":
    main()
