"""The browser player beside Python's ONNX Runtime: ``python benchmarks/player.py BUNDLE``.

Prints one Markdown row (``--header`` prints the head, too) for a bundle in headless Chromium on
WebAssembly: seconds from the button to the whole sound, in a browser just started whose device
holds the bundle (cold), and again (warm, median and range), each with the processor seconds of the
page; the sound's share of its own length; a step of the UNet, guided if the bundle is, beside the
same in Python's ONNX Runtime with as many threads, in turn, by the clock and in processor time; the
page's files, compressed; the renderer's memory above that of the page without a model, at its peak,
as a multiple of the bundle and beside what the page forecast; and after "Free memory" beside the
page before, both after garbage collection. ``--steps 2`` measures a model that needs minutes for a
clip.
"""

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime
from player_page import Renderer, forecast_bytes, make, open_page, page_bytes, serving
from playwright.sync_api import Page, sync_playwright
from provenance import provenance

from dmm.bundles.folder import read_description
from dmm.bundles.schema import Bundle

HEADER = (
    "| date | commit | machine | bundle | steps | cold s | warm s | sound x real time"
    " | UNet step s, x Python | step of processor s, x Python | page MB | peak x bundle"
    " | forecast x peak | after free x before |\n|" + "---|" * 14
)
PROMPTS = ("organ, fast, bright", "flute and nylon guitar, slow", "piano and bass, calm")


@dataclass
class Measured:
    """Seconds and bytes of one run; lists have an entry for each clip or step."""

    page_bytes: int = 0
    cold_s: tuple[float, float] = (0.0, 0.0)
    """By the clock, and of the processor."""
    warm_s: list[tuple[float, float]] = field(default_factory=list)
    sound_s: list[float] = field(default_factory=list)
    step_s: list[float] = field(default_factory=list)
    step_processor_s: float = 0.0
    python_s: list[tuple[float, float]] = field(default_factory=list)
    before: int = 0
    peak: int = 0
    after: int = 0
    forecast: float = 0.0


def measure(folder: Path, bundle: Bundle, threads: int, repeats: int, steps: int) -> Measured:
    """Run page and Python in turn."""
    found = Measured()
    with (
        serving(folder) as (address, requested),
        tempfile.TemporaryDirectory() as profile,
        sync_playwright() as playwright,
    ):
        address += f"&backend=wasm&threads={threads}"
        page = open_page(playwright, profile, address)
        make(page, "piano", 0, steps)  # brings model and runtime onto the device
        found.page_bytes = page_bytes(requested)
        page.context.close()
        page = open_page(playwright, profile, address)
        renderer = Renderer(page)
        found.before, began = renderer.settled_bytes(), renderer.processor_s()
        cold = make(page, "piano, slow", 1, steps)
        found.cold_s = cold["made"][0], renderer.processor_s() - began
        for number in range(repeats):
            found.python_s += python_steps(folder, bundle, threads, 10)
            began = renderer.processor_s()
            run = make(page, PROMPTS[number % len(PROMPTS)], 2 + number, steps)
            found.warm_s.append((run["made"][0], renderer.processor_s() - began))
            found.sound_s.append(run["made"][0] - run["inverting"][0])
            found.step_s += list(np.diff(run["denoising"]))
        found.peak, found.forecast = renderer.peak, forecast_bytes(page)
        found.step_processor_s = processor_step_s(page, renderer, max(2, steps))
        page.click("#model")
        page.click("text=Free memory")
        found.after = renderer.settled_bytes()
        renderer.stop()
        page.context.close()
    return found


def processor_step_s(page: Page, renderer: Renderer, steps: int) -> float:
    """Processor seconds of a UNet step: of a clip with more steps, less those of one with fewer."""
    spent = []
    for count in (steps, 1):
        began = renderer.processor_s()
        make(page, PROMPTS[0], 0, count)
        spent.append(renderer.processor_s() - began)
    return (spent[0] - spent[1]) / (steps - 1)


def python_steps(
    folder: Path, bundle: Bundle, threads: int, count: int
) -> list[tuple[float, float]]:
    """Seconds and processor seconds of UNet steps in Python, after two that warm it up."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    path = folder / bundle.parts["unet"].model.file
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs = bundle.parts["unet"].inputs
    guided = bundle.sampling.guidance > 1 and "guidance" not in inputs
    latent = bundle.latent
    sizes = {"rows": latent.rows, "columns": latent.columns, "timesteps": 1}
    sizes["batch"] = 2 if guided else 1
    feeds = {
        name: np.full([sizes.get(n, n) for n in tensor.shape], 0.5, np.float32)
        for name, tensor in inputs.items()
    }
    seconds = []
    for _ in range(count + 2):
        start, processor_start = time.perf_counter(), time.process_time()
        session.run(None, feeds)
        seconds.append((time.perf_counter() - start, time.process_time() - processor_start))
    return seconds[2:]


def cells(folder: Path, bundle: Bundle, steps: int, found: Measured) -> list[str]:
    """The row's cells behind date, commit and machine."""
    size = sum(file.bytes for part in bundle.parts.values() for file in (part.model, *part.data))
    fmt = json.loads((folder / bundle.format.file).read_text())
    length = fmt["n_frames"] * fmt["hop_length"] / fmt["sr"]
    warm, warm_processor = zip(*found.warm_s, strict=True)
    python, python_processor = map(statistics.median, zip(*found.python_s, strict=True))
    step = statistics.median(found.step_s) if found.step_s else None  # None for clips of one step
    peak = found.peak - found.before
    return [
        bundle.name,
        str(steps),
        f"{found.cold_s[0]:.1f} ({found.cold_s[1]:.1f} of processor)",
        f"{statistics.median(warm):.1f} ({min(warm):.1f}-{max(warm):.1f};"
        f" {statistics.median(warm_processor):.1f} of processor)",
        f"{statistics.median(found.sound_s) / length:.2f}",
        f"{step:.3f}, {step / python:.2f} x" if step else "-",
        f"{found.step_processor_s:.3f}, {found.step_processor_s / python_processor:.2f} x",
        f"{found.page_bytes / 1e6:.1f}",
        f"{peak / size:.1f} ({peak / 1e6:.0f} of {size / 1e6:.0f} MB)",
        f"{found.forecast / peak:.2f} ({found.forecast / 1e6:.0f} MB)",
        f"{found.after / found.before:.2f}"
        f" ({found.after / 1e6:.0f} of {found.before / 1e6:.0f} MB)",
    ]


def main() -> None:
    """Measure and print the row."""
    parser = argparse.ArgumentParser(description="The player beside Python's ONNX Runtime.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, help="default: the bundle's")
    parser.add_argument("--header", action="store_true")
    options = parser.parse_args()
    if options.header:
        print(HEADER)
    bundle = read_description(options.bundle)
    steps = options.steps or bundle.sampling.steps
    found = measure(options.bundle, bundle, options.threads, options.repeats, steps)
    machine = provenance(f"{options.threads} threads")
    print(f"| {' | '.join((*machine, *cells(options.bundle, bundle, steps, found)))} |")


if __name__ == "__main__":
    main()
