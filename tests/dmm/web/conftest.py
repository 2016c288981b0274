"""The built page, a toy bundle, and the page open in a browser."""

import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

sys.path.insert(0, str(Path(__file__).parent))
from served import served
from toy_bundle import write_toy_bundle

sys.path.pop(0)

HOLD_MAKING = """() => new Promise((held) => {
  const until = new Promise((free) => (window.letMake = free));
  navigator.locks.request('dmm-making', () => (held(), until));
})"""
"""Run in the page: what is made waits, as for another tab, until ``letMake`` is called."""


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The built page; tests that need it are skipped where it cannot be built."""
    from dmm.errors import DmmError
    from dmm.web.page import built_page

    try:
        # Of several processes with tests, one builds it.
        with FileLock(tmp_path_factory.getbasetemp().parent / "player.lock"):
            return built_page()
    except DmmError as error:
        pytest.skip(f"the player's page cannot be built here: {error}")


@pytest.fixture(scope="session")
def write_bundle():
    """``write_bundle(folder, name, seed)``: another toy bundle."""
    return write_toy_bundle


@pytest.fixture(scope="session")
def toy(tmp_path_factory) -> Path:
    """A bundle of a few kilobytes."""
    return write_toy_bundle(tmp_path_factory.mktemp("bundles") / "toy")


@pytest.fixture
def site(built, toy):
    """The page and the toy bundle, served."""
    with served(built, [toy]) as found:
        yield found


@pytest.fixture
def context(new_profile):
    """A fresh browser profile."""
    return new_profile()


@pytest.fixture
def open_page():
    """``open_page(context, address)``: a page with its model ready; its errors fail the test."""
    errors: list[str] = []

    def open_page(context, address):
        opened = context.new_page()
        opened.on("pageerror", lambda error: errors.append(str(error)))
        opened.goto(address)
        opened.wait_for_selector("#make:enabled")
        return opened

    yield open_page
    assert errors == []


@pytest.fixture
def page(context, site, open_page):
    """The page, its model ready."""
    return open_page(context, site.entrance)


@pytest.fixture(scope="session")
def serve(built):
    """``with serve([bundle, ...]) as site``."""
    return partial(served, built)


@pytest.fixture(scope="session")
def make():
    """``make(page, prompt, seed)``: fill in the form, press Make, wait until the clip is there."""
    from playwright.sync_api import expect

    def make(page, prompt="piano, slow", seed=3):
        page.fill(".prompt", prompt)
        page.fill("#seed", str(seed))
        page.click("#make")
        expect(page.locator("#wav")).to_be_enabled()
        expect(page.locator("#make")).to_have_text("Make")

    return make


@pytest.fixture(scope="session")
def held_making():
    """``with held_making(page)``: what is made within the block waits for its end."""

    @contextmanager
    def held_making(page):
        page.evaluate(HOLD_MAKING)
        yield
        page.evaluate("() => window.letMake()")

    return held_making


@pytest.fixture(scope="session")
def download():
    """``download(page, button)``: bytes and name of what a button saves."""

    def download(page, button):
        with page.expect_download() as found:
            page.click(button)
        return found.value.path().read_bytes(), found.value.suggested_filename

    return download


@pytest.fixture(scope="session")
def psnr_db():
    """``psnr_db(found, expected)`` of two mel images, decibels."""

    def psnr_db(found, expected):
        error = np.mean((found.astype(float) - expected) ** 2)
        return np.inf if error == 0 else 10 * np.log10(255**2 / error)

    return psnr_db


@pytest.fixture(scope="session")
def python_clip():
    """``python_clip(bundle, prompt, seed)``: image, sound and format by Python's ONNX Runtime."""
    from dmm.bundles.bundle_player import BundlePlayer
    from dmm.bundles.noise import TorchRandom
    from dmm.codec.decode import decode

    def clip(bundle, prompt, seed, **settings):
        player, random = BundlePlayer(bundle, "cpu"), TorchRandom(seed)
        noise = random.randn(player.latent_shape())
        latents = player.sample(noise, random, player.embed([prompt])[0], **settings)
        levels = player.decode(latents)
        return levels, decode(levels, player.format), player.format

    return clip
