"""The main states of the page as pictures; ``DMM_PICTURES=docs`` writes those of the documentation.

With a bundle's folder in ``DMM_PICTURED_BUNDLE`` they show that model: docs has nano.
"""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from dmm.engine import ROOT

PROMPTS = ("piano and bass, slow, calm", "organ, fast, bright", "flute and nylon guitar, slow")
LARGEST = 150_000
"""Bytes of a picture in docs."""
COLOURS = 160
STEPS = 8
PATIENCE_MS = 1_200_000
"""A model larger than the tests' own may take that long for a clip."""


@pytest.fixture(scope="module")
def bundle(toy):
    """The bundle that the pictures show."""
    return Path(os.environ.get("DMM_PICTURED_BUNDLE", toy))


@pytest.fixture
def opened(new_profile, open_page, serve, bundle):
    """``opened(width)``: the page in a window of that width, its model ready."""
    expect.set_options(timeout=PATIENCE_MS)
    with serve([bundle]) as site:

        def opened(width):
            view = {"width": width, "height": 860}
            page = open_page(new_profile(viewport=view), site.entrance)
            page.set_default_timeout(PATIENCE_MS)
            page.click("#settings summary")
            page.fill("#steps", str(STEPS))
            page.click("#settings summary")
            return page

        yield opened


@pytest.fixture
def picture(tmp_path):
    """``picture(page, name)``: take one, in few colours; its pixels."""
    folder = Path(os.environ.get("DMM_PICTURES", tmp_path))

    def take(page, name):
        shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        shot.quantize(COLOURS).save(folder / f"{name}.png", optimize=True)
        return np.asarray(shot).astype(int)

    return take


def test_clips_a_timeline_in_the_dark_and_a_phone(opened, picture, make):
    page = opened(1280)
    before = picture(page, "player-start")
    for seed, prompt in enumerate(PROMPTS):
        make(page, prompt, seed)
    page.locator("#stage .picture").click(position={"x": 300, "y": 90})
    after = picture(page, "player")
    changed = np.abs(after - before).max(-1) > 30
    assert changed.mean() > 0.2, "a clip and three cards fill a fifth of the window"
    for card in page.locator(".card .add").all():
        card.click()
    page.emulate_media(color_scheme="dark")
    assert picture(page, "player-timeline").mean() < 100
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 390, "height": 860})
    page.evaluate("() => scrollTo(0, 0)")
    assert picture(page, "player-phone").shape[1] == 390


def test_models_with_what_they_need(opened, picture):
    page = opened(1280)
    page.click("#model")
    page.fill("#address", "https://127.0.0.1:9/bundle.json")
    page.click("#from-address button")
    expect(page.locator("dialog #alert")).to_contain_text("Nothing answers at this address")
    picture(page, "player-models")


@pytest.mark.parametrize("name", ["start", "timeline", "models", "phone", ""])
def test_docs_have_a_small_picture_of_each(name):
    path = ROOT / "docs" / f"player{name and '-'}{name}.png"
    assert 0 < path.stat().st_size <= LARGEST
