"""Long pieces in the player: joint windows, timelines of prompts, loops."""

import io

import numpy as np
import soundfile
from playwright.sync_api import expect

from dmm.codec.mel import encode


def fill_parts(page, *parts):
    """The form's prompts with their seconds."""
    for number, (prompt, seconds) in enumerate(parts):
        if number:
            page.click("#then")
        page.locator(".prompt").nth(number).fill(prompt)
        page.locator(".part .seconds").nth(number).fill(str(seconds))


def made(page, download):
    """Press Make; the samples, (channels, n)."""
    page.click("#make")
    expect(page.locator("#wav")).to_be_enabled()
    expect(page.locator("#make")).to_have_text("Make")
    return soundfile.read(io.BytesIO(download(page, "#wav")[0]), always_2d=True)[0].T


def test_a_timeline_of_prompts_has_its_length_and_both_prompts(page, download, toy, python_clip):
    fill_parts(page, ("piano, slow", 1.2), ("organ, fast", 1.2))
    sound = made(page, download)
    assert sound.shape == (1, 2.4 * 8000)
    expect(page.locator("#stage-title")).to_have_text("piano, slow → organ, fast")
    _, _, fmt = python_clip(toy, "piano, slow", 3)
    image = encode(sound[:, : sound.shape[1] // 64 * 64].astype(np.float32), fmt)
    middle = image.shape[1] // 2
    assert np.abs(image[:, :middle].mean(1) - image[:, -middle:].mean(1)).max() > 2


def test_the_same_long_piece_begins_the_same(page, download):
    fill_parts(page, ("piano, slow", 2))
    page.fill("#seed", "5")
    first = made(page, download)
    page.fill("#seed", "5")
    assert np.array_equal(made(page, download), first)


def test_a_loop_of_bars_has_its_length_to_the_sample(page, download):
    page.fill(".prompt", "piano")
    page.check("#loop")
    page.fill("#bars", "1")
    page.fill("#bpm", "161")
    expect(page.locator(".part .seconds")).to_have_value("1.491")
    sound = made(page, download)
    assert sound.shape[1] == round(1.491 * 8000)
    expect(page.locator(".card .facts")).to_contain_text("loop")


NOTE_FIRST_SOUND = """() => {
  const resume = AudioContext.prototype.resume;
  AudioContext.prototype.resume = function () {
    window.makeAtFirstSound ??= document.getElementById('make').textContent;
    return resume.call(this);
  };
}"""
"""Run in the page: notes the label of Make at the moment when sound is first played."""


def test_a_long_piece_plays_before_it_is_done(page):
    fill_parts(page, ("piano", 40))
    page.evaluate(NOTE_FIRST_SOUND)
    page.click("#make")
    expect(page.locator("#wav")).to_be_enabled()
    assert page.evaluate("() => window.makeAtFirstSound") == "Cancel"
