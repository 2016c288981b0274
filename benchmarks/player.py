"""The browser player beside Python's ONNX Runtime: ``python benchmarks/player.py BUNDLE``.

Prints one Markdown row (``--header`` prints the head, too) for a bundle in headless Chromium on
WebAssembly: seconds from the button to the whole sound, in a browser just started whose device
holds the bundle (cold), and again (warm, median and range), each with the seconds of processor time
that the page took; the sound's share of its own length; a step of the UNet, guided if the bundle
is, beside the same in Python's ONNX Runtime with as many threads, in turn; the page's files,
compressed; the renderer's memory above that of the page without a model, at its peak, as a multiple
of the bundle and of what the page forecast, and after "Free memory" beside the page before.
``--steps 1`` measures a model that would take minutes for a clip.
"""

import argparse
import gzip
import json
import os
import re
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from playwright.sync_api import Page, sync_playwright
from provenance import provenance

from dmm.bundles.folder import read_description
from dmm.bundles.schema import Bundle
from dmm.serving.server import listen
from dmm.web.offers import find_offers
from dmm.web.page import built_page
from dmm.web.server import create_app

HEADER = (
    "| date | commit | machine | bundle | steps | cold s | warm s | sound x real time"
    " | UNet step s, and x Python | page MB | peak x bundle | forecast x peak"
    " | after free x before |\n|" + "---|" * 13
)
ARGUMENTS = ["--no-sandbox", "--disable-quic", "--autoplay-policy=no-user-gesture-required"]
PROMPTS = ("organ, fast, bright", "flute and nylon guitar, slow", "piano and bass, calm")
PATIENCE_MS = 600_000


@contextmanager
def serving(bundle: Path) -> Iterator[tuple[str, set[str]]]:
    """The page's address and the files of it that were requested."""
    asked: set[str] = set()
    with listen(0, "dmm web") as sock:
        port = sock.getsockname()[1]
        app = create_app(built_page(), find_offers([bundle]), port, "key")

        async def noting(scope: Any, receive: Any, send: Any) -> None:
            asked.add(scope.get("path", "").lstrip("/"))
            await app(scope, receive, send)

        server = uvicorn.Server(uvicorn.Config(noting, log_level="critical"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{port}/?token=key", asked
        server.should_exit = True
        thread.join()


class Renderer:
    """Resident memory and processor time of the page's process."""

    def __init__(self, page: Page) -> None:
        browser = page.context.browser
        session = (
            browser.new_browser_cdp_session() if browser else page.context.new_cdp_session(page)
        )
        found = session.send("SystemInfo.getProcessInfo")["processInfo"]
        pids = [process["id"] for process in found if process["type"] == "renderer"]
        self.pid = max(pids, key=self._resident)  # the page's, beside the browser's own
        self.peak, self._running = 0, True
        threading.Thread(target=self._watch, daemon=True).start()

    def memory(self) -> int:
        """Resident bytes."""
        return self._resident(self.pid)

    def processor_s(self) -> float:
        """Seconds of all threads so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """Watch no more."""
        self._running = False

    @staticmethod
    def _resident(pid: int) -> int:
        try:
            return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
        except OSError:
            return 0

    def _watch(self) -> None:
        while self._running:
            self.peak = max(self.peak, self.memory())
            time.sleep(0.02)


def forecast_bytes(page: Page) -> float:
    """The memory that the page says the model needs."""
    page.click("#model")
    text = page.locator(".model.current .memory").inner_text()
    page.keyboard.press("Escape")
    number, unit = re.search(r"([\d.]+) ([kMG]B)", text).groups()  # pyright: ignore[reportOptionalMemberAccess]
    return float(number) * {"kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]


def make(page: Page, prompt: str, seed: int) -> dict[str, list[float]]:
    """Make a clip; the page's own marks, seconds since the button."""
    page.fill(".prompt", prompt)
    page.fill("#seed", str(seed))
    page.click("#make")
    page.wait_for_selector("#wav:enabled")
    page.wait_for_selector("#make:not(.cancels)")
    marks = page.evaluate(
        "() => performance.getEntriesByType('mark').map((m) => [m.name, m.startTime / 1000])"
    )
    begun = next(at for name, at in marks if name == "dmm begun")
    found: dict[str, list[float]] = {}
    for name, at in marks:
        found.setdefault(name.removeprefix("dmm "), []).append(at - begun)
    return found


def python_steps(folder: Path, bundle: Bundle, threads: int, count: int) -> list[float]:
    """Seconds of UNet steps in Python's ONNX Runtime, after two that warm it up."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    path = folder / bundle.parts["unet"].model.file
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    latent, rows = bundle.latent, 2 if bundle.sampling.guidance > 1 else 1
    sizes = {"rows": latent.rows, "columns": latent.columns, "timesteps": 1, "batch": rows}
    feeds = {
        name: np.full([sizes.get(n, n) for n in tensor.shape], 0.5, np.float32)
        for name, tensor in bundle.parts["unet"].inputs.items()
    }
    seconds = []
    for _ in range(count + 2):
        start = time.perf_counter()
        session.run(None, feeds)
        seconds.append(time.perf_counter() - start)
    return seconds[2:]


def page_bytes(asked: set[str]) -> int:
    """Bytes, as gzip leaves them, of the page's files that were requested."""
    page = built_page()
    files = {page / (name or "index.html") for name in asked if not name.startswith("bundles")}
    return sum(len(gzip.compress(file.read_bytes(), 9)) for file in files if file.is_file())


def cells(folder: Path, threads: int, repeats: int, steps: int | None) -> list[str]:
    """Everything that is measured, as text."""
    bundle = read_description(folder)
    size = sum(file.bytes for part in bundle.parts.values() for file in (part.model, *part.data))
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))))
    with (
        serving(folder) as (address, asked),
        tempfile.TemporaryDirectory() as profile,
        sync_playwright() as playwright,
    ):

        def open_page() -> Page:
            context = playwright.chromium.launch_persistent_context(
                profile, executable_path=chromium, args=ARGUMENTS
            )
            context.set_default_timeout(PATIENCE_MS)
            page = context.pages[0]
            page.goto(f"{address}&backend=wasm&threads={threads}")
            page.wait_for_selector("#make:enabled")
            if steps:  # set without focus, which would load the model
                page.locator("#steps").evaluate("(field, value) => (field.value = value)", steps)
            return page

        page = open_page()
        make(page, "piano", 0)  # brings model and runtime onto the device
        weight = page_bytes(asked)
        page.context.close()

        page = open_page()
        time.sleep(2)
        renderer = Renderer(page)
        before, began = renderer.memory(), renderer.processor_s()
        cold = make(page, "piano, slow", 1)
        cold_s, warm_s = renderer.processor_s() - began, []
        warm, unet, others = [], [], []
        for number in range(repeats):
            others += python_steps(folder, bundle, threads, 10 if not steps else steps)
            began = renderer.processor_s()
            warm.append(make(page, PROMPTS[number % len(PROMPTS)], 2 + number))
            warm_s.append(renderer.processor_s() - began)
            unet += list(np.diff(warm[-1]["denoising"]))
        peak, forecast = renderer.peak, forecast_bytes(page)
        page.click("#model")
        page.click("text=Free memory")
        time.sleep(3)
        after = renderer.memory()
        renderer.stop()
        page.context.close()
    fmt = json.loads((folder / bundle.format.file).read_text())
    length = fmt["n_frames"] * fmt["hop_length"] / fmt["sr"]
    sounds = [run["made"][0] - run["inverting"][0] for run in warm]
    totals = [run["made"][0] for run in warm]
    step, other = statistics.median(unet), statistics.median(others)
    spread = f"{min(totals):.1f}-{max(totals):.1f}"
    return [
        bundle.name,
        str(steps or bundle.sampling.steps),
        f"{cold['made'][0]:.1f} ({cold_s:.1f} of processor)",
        f"{statistics.median(totals):.1f} ({spread}; {statistics.median(warm_s):.1f} of processor)",
        f"{statistics.median(sounds) / length:.2f}",
        f"{step:.3f}, {step / other:.2f} x",
        f"{weight / 1e6:.1f}",
        f"{(peak - before) / size:.1f} ({(peak - before) / 1e6:.0f} of {size / 1e6:.0f} MB)",
        f"{forecast / (peak - before):.2f} ({forecast / 1e6:.0f} MB)",
        f"{after / before:.2f} ({after / 1e6:.0f} of {before / 1e6:.0f} MB)",
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
    found = cells(options.bundle, options.threads, options.repeats, options.steps)
    machine = provenance(f"{options.threads} threads")
    print(f"| {' | '.join((*machine, *found))} |")


if __name__ == "__main__":
    main()
