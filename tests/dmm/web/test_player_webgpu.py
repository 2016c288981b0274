"""The player on WebGPU, here a software graphics card that Chromium brings along."""

import io

import numpy as np
import pytest
import soundfile

from dmm.codec.mel import encode

LOSE_THE_CARD = """
const ask = GPUAdapter.prototype.requestDevice;
GPUAdapter.prototype.requestDevice = async function (...given) {
  const card = await ask.apply(this, given);
  const submit = card.queue.submit.bind(card.queue);
  let count = 0;
  card.queue.submit = (...work) => {
    if (++count === 30) card.destroy();
    return submit(...work);
  };
  return card;
};
"""
"""Script of a worker: its card is lost when it gets its thirtieth piece of work."""


@pytest.fixture(scope="module")
def chromium_arguments():
    """WebGPU on the processor."""
    return ["--no-sandbox", "--disable-quic", "--enable-unsafe-webgpu"]


@pytest.fixture
def page(context, open_page, site):
    """The page, on the software card."""
    return open_page(context, f"{site.entrance}&backend=webgpu")


def sound_of(wav):
    return soundfile.read(io.BytesIO(wav), dtype="float32", always_2d=True)[0].T


def test_webgpu_makes_pythons_clip(page, toy, make, download, python_clip, psnr_db):
    from playwright.sync_api import expect

    make(page)
    expect(page.locator("#model small")).to_have_text("WebGPU")
    _, expected, fmt = python_clip(toy, "piano, slow", 3)
    found = sound_of(download(page, "#wav")[0])
    assert psnr_db(encode(found, fmt), encode(expected, fmt)) > 35


def test_a_card_lost_in_mid_run_goes_on_in_webassembly(
    context, open_page, site, toy, make, download, python_clip
):
    from playwright.sync_api import expect

    site.faults.preludes["diffusion.worker"] = LOSE_THE_CARD
    page = open_page(context, f"{site.entrance}&backend=webgpu")
    page.click("#settings summary")
    page.fill("#steps", "60")
    make(page)
    expect(page.locator("#model small")).to_contain_text("WebAssembly")
    _, expected, _ = python_clip(toy, "piano, slow", 3, steps=60)
    found = sound_of(download(page, "#wav")[0])
    assert np.abs(found - expected).max() < 0.1 * np.abs(expected).max()
