"""The player's page in a browser whose time and memory are measured, for ``player.py``."""

import gzip
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from playwright.sync_api import Page, Playwright

from dmm.serving.server import listen
from dmm.web.offers import open_or_export_bundles
from dmm.web.page import built_page
from dmm.web.server import create_app

ARGUMENTS = ["--no-sandbox", "--disable-quic", "--autoplay-policy=no-user-gesture-required"]
PATIENCE_MS = 1_800_000
SERVICE_WORKER_S = 35
"""Chromium ends a service worker that had nothing to do for 30 s; it shares the page's process."""
UNITS = {"kB": 1e3, "MB": 1e6, "GB": 1e9}


@contextmanager
def serving(bundle: Path) -> Iterator[tuple[str, set[str]]]:
    """The page's address, and the files that were requested of it."""
    requested: set[str] = set()
    with listen(0, "dmm web") as sock:
        port = sock.getsockname()[1]
        app = create_app(built_page(), open_or_export_bundles([bundle]), port, "key")

        async def noting(scope: Any, receive: Any, send: Any) -> None:
            requested.add(scope.get("path", "").lstrip("/"))
            await app(scope, receive, send)

        server = uvicorn.Server(uvicorn.Config(noting, log_level="critical"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{port}/?token=key", requested
        server.should_exit = True
        thread.join()


def open_page(playwright: Playwright, profile: str, address: str) -> Page:
    """The page in a browser that has just started, with what its profile holds."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))))
    context = playwright.chromium.launch_persistent_context(
        profile, executable_path=chromium, args=ARGUMENTS
    )
    context.set_default_timeout(PATIENCE_MS)
    page = context.pages[0]
    page.goto(address)
    get = page.locator(".model .get:visible")  # a large model is fetched when it is asked for
    page.locator("#make:enabled").or_(get).first.wait_for()
    if get.count():
        get.click()
        page.wait_for_selector("#make:enabled")
        page.keyboard.press("Escape")
    return page


def make(page: Page, prompt: str, seed: int, steps: int | None = None) -> dict[str, list[float]]:
    """Make a clip; the page's own marks, seconds since the button."""
    if steps:  # set without focus, which would load the model
        page.locator("#steps").evaluate("(field, value) => (field.value = value)", steps)
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


def forecast_bytes(page: Page) -> float:
    """The memory that the page says the model needs."""
    page.click("#model")
    text = page.locator(".model.current .memory").inner_text()
    page.keyboard.press("Escape")
    [(number, unit)] = re.findall(r"([\d.]+) ([kMG]B) of memory", text)
    return float(number) * UNITS[unit]


def page_bytes(requested: set[str]) -> int:
    """Bytes, as gzip leaves them, of the page's files that were requested."""
    page = built_page()
    files = {page / (name or "index.html") for name in requested if not name.startswith("bundles")}
    return sum(len(gzip.compress(file.read_bytes(), 9)) for file in files if file.is_file())


class Renderer:
    """Memory and processor time of the page's process."""

    def __init__(self, page: Page) -> None:
        self._session = page.context.new_cdp_session(page)
        browser = page.context.browser
        session = browser.new_browser_cdp_session() if browser else self._session
        found = session.send("SystemInfo.getProcessInfo")["processInfo"]
        pids = [process["id"] for process in found if process["type"] == "renderer"]
        self.pid = max(pids, key=_resident_bytes)  # the page's, beside the browser's own
        self.peak, self._running = 0, True
        threading.Thread(target=self._watch, daemon=True).start()

    def settled_bytes(self) -> int:
        """Resident bytes after garbage collection, without the service worker."""
        time.sleep(SERVICE_WORKER_S)
        for _ in range(3):
            time.sleep(2)
            self._session.send("HeapProfiler.collectGarbage")
        time.sleep(2)
        return _resident_bytes(self.pid)

    def processor_s(self) -> float:
        """Seconds of all threads so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """Watch no more."""
        self._running = False

    def _watch(self) -> None:
        while self._running:
            self.peak = max(self.peak, _resident_bytes(self.pid))
            time.sleep(0.02)


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
