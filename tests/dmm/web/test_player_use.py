"""The player in use: cancel, reload, keys, screen readers, phones, links, gallery, timeline."""

import io
import json
import re
from urllib.parse import urlsplit

import pytest
from PIL import Image
from playwright.sync_api import expect

from dmm.engine import ROOT

AXE = ROOT / "player" / "node_modules" / "axe-core" / "axe.min.js"
SILENT = """() => {
  AudioContext.prototype.resume = () => new Promise(() => {});
}"""
"""Run in the page: no sound ever plays, so that nothing but the test moves the slider."""
HOLD_SOUND = """() => {
  window.started = 0;
  const { resume } = AudioContext.prototype;
  const { start } = AudioBufferSourceNode.prototype;
  const held = new Promise((release) => (window.release = release));
  AudioContext.prototype.resume = function () {
    return held.then(() => resume.call(this));
  };
  AudioBufferSourceNode.prototype.start = function (...given) {
    window.started++;
    return start.apply(this, given);
  };
}"""
"""Run in the page: sound starts when the test calls ``release``, and is counted."""
COUNT_CLOSED = """() => {
  window.devicesClosed = 0;
  const { close } = AudioContext.prototype;
  AudioContext.prototype.close = function () {
    window.devicesClosed++;
    return close.call(this);
  };
  const later = window.setTimeout;
  window.setTimeout = (call, delay, ...given) => later(call, Math.min(delay, 50), ...given);
}"""
"""Run in the page: counts closed sound devices; what would wait for seconds comes at once."""
COUNT_UNPACKED = """
window.unpacked = 0;
const { from } = Float32Array;
Float32Array.from = function (values, ...given) {
  if (values instanceof Int16Array) window.unpacked++;
  return from.call(this, values, ...given);
};
"""
"""Script of a page: counts kept sounds that are turned from 16 bits into floats."""


def button(page, name):
    """A button by what a screen reader says."""
    return page.get_by_role("button", name=name, exact=True)


def image_of(png):
    return Image.open(io.BytesIO(png))


def test_cancelling_ends_it_at_once_and_the_next_one_is_made(page, make):
    page.click("#settings summary")
    page.fill("#steps", "100")
    page.fill(".seconds", "300")  # nothing is faster than the click
    page.fill(".prompt", "piano")
    page.click("#make")
    expect(page.locator("#job-note")).to_contain_text("denoising the picture")
    page.click("#make")
    expect(page.locator("#make")).to_have_text("Make")
    expect(page.locator("#stage-title")).to_have_text("Nothing made yet")
    page.fill("#steps", "2")
    page.fill(".seconds", "0.512")
    make(page)


def test_cancelling_needs_no_prompt(page, held_making):
    page.fill(".prompt", "piano")
    with held_making(page):
        page.click("#make")
        page.fill(".prompt", "")
        page.click("#make")
        expect(page.locator("#make")).to_have_text("Make")


def test_a_models_own_settings_are_no_obstacle(
    new_profile, open_page, serve, write_bundle, toy, tmp_path, make
):
    sampling = json.loads((toy / "bundle.json").read_text())["sampling"]
    sampling |= {"guidance": 0.25, "steps": 150}
    with serve([write_bundle(tmp_path / "fine", sampling=sampling)]) as site:
        page = open_page(new_profile(), site.entrance)
        make(page)
        expect(page.locator("#stage .facts")).to_contain_text("150 steps")


def test_a_number_in_a_hidden_row_is_no_obstacle(page, make):
    page.check("#loop")
    page.fill("#bpm", "10")
    page.uncheck("#loop")
    make(page)


def test_a_wrong_number_in_closed_settings_is_shown(page):
    page.click("#settings summary")
    page.fill("#steps", "0")
    page.click("#settings summary")
    page.fill(".prompt", "piano")
    page.click("#make")
    expect(page.locator("#steps")).to_be_focused()


def test_clips_and_the_form_outlive_a_reload(page, make):
    make(page, "organ, fast", seed=8)
    page.reload()
    page.wait_for_selector("#make:enabled")
    expect(page.locator(".card h3")).to_have_text("organ, fast")
    expect(page.locator(".prompt")).to_have_value("organ, fast")
    expect(page.locator("#seed")).to_have_value("9")
    button(page, "Show organ, fast").click()
    expect(page.locator("#wav")).to_be_enabled()
    expect(page.locator("#stage .facts")).to_contain_text("seed 8")


def test_a_clip_opened_while_another_is_made_leaves_both_whole(page, make, download, held_making):
    make(page, "organ", seed=1)
    page.fill(".prompt", "piano")
    with held_making(page):
        page.click("#make")
        expect(page.locator("#job-note")).to_contain_text("waits for its turn")
        button(page, "Show organ").click()
    expect(page.locator(".card h3").first).to_have_text("piano")
    expect(page.locator("#stage-title")).to_have_text("organ")
    assert image_of(download(page, "#png")[0]).size == (64, 64)
    button(page, "Show piano").click()
    assert image_of(download(page, "#png")[0]).size == (64, 64)


def test_the_sound_of_a_kept_clip_is_unpacked_once_it_is_played(context, page, make):
    make(page, "organ")
    context.add_init_script(COUNT_UNPACKED)
    page.reload()
    page.wait_for_selector("#make:enabled")
    assert page.evaluate("() => window.unpacked") == 0
    button(page, "Play organ").click()
    page.wait_for_function("() => window.unpacked === 1")


def test_a_removed_clip_stays_away(page, make):
    make(page, "organ")
    button(page, "Remove organ").click()
    expect(page.locator(".card")).to_have_count(0)
    page.reload()
    page.wait_for_selector("#make:enabled")
    expect(page.locator(".card")).to_have_count(0)


def test_everything_can_be_done_by_keyboard(page):
    page.evaluate(SILENT)
    page.focus(".prompt")
    page.keyboard.type("piano, slow")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#wav")).to_be_enabled()
    slider = page.get_by_role("slider")
    slider.focus()
    page.keyboard.press("End")
    expect(slider).to_have_attribute("aria-valuetext", "0.5 of 0.5 seconds")
    page.keyboard.press("Home")
    expect(slider).to_have_attribute("aria-valuenow", "0.00")
    with page.expect_download():
        page.focus("#wav")
        page.keyboard.press("Enter")
    page.focus("#model")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Models")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#model")).to_be_focused()


def test_a_click_on_the_picture_goes_there(page, make):
    page.evaluate(SILENT)
    make(page)
    page.locator("#stage .picture").click(position={"x": 100, "y": 50})
    width = page.locator("#stage .picture").bounding_box()["width"]
    value = float(page.get_by_role("slider").get_attribute("aria-valuenow"))
    assert value == pytest.approx(0.512 * 100 / width, abs=0.01)


def test_a_clip_plays_once_where_the_sound_device_starts_late(page, make):
    page.evaluate(HOLD_SOUND)
    make(page)
    page.evaluate("() => window.release()")
    page.wait_for_function("() => window.started > 0")
    stopped = page.locator("#stage button.play")
    expect(stopped).to_have_attribute("aria-pressed", "false")  # at its end
    assert page.evaluate("() => window.started") == 1


def test_the_sound_device_is_closed_while_nothing_plays(page, make):
    page.evaluate(COUNT_CLOSED)
    make(page)
    page.wait_for_function("() => window.devicesClosed === 1")
    button(page, "Play").click()
    page.wait_for_function("() => window.devicesClosed === 2")


def test_a_link_makes_the_same_clip_elsewhere(
    new_profile, open_page, context, page, site, make, download
):
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click("#settings summary")
    page.fill("#steps", "3")
    make(page, "орган & bass #1", seed=42)
    page.click("#link")
    expect(page.locator("#says")).to_contain_text("The link is copied")
    link = page.evaluate("() => navigator.clipboard.readText()")
    assert "token" not in link
    other = open_page(new_profile(), f"{site.entrance}#{urlsplit(link).fragment}")
    expect(other.locator("#steps")).to_have_value("3")
    other.click("#make")
    expect(other.locator("#wav")).to_be_enabled()
    assert download(other, "#wav")[0] == download(page, "#wav")[0]


def test_a_link_to_a_model_that_is_nowhere_says_so(context, site):
    page = context.new_page()
    page.goto(f"{site.entrance}#model={'ab' * 8}&seed=1&p=piano&s=0.512")
    expect(page.locator("#alert")).to_contain_text("is not on this device")
    expect(page.locator(".prompt")).to_have_value("piano")


def test_clips_are_joined_on_the_timeline(page, make):
    for seed in (1, 2):
        make(page, f"piano {seed}", seed=seed)
        page.click("#add")
    items = page.locator("#timeline li")
    expect(items).to_have_count(2)
    items.first.focus()
    page.keyboard.press("Shift+ArrowRight")
    expect(items.first).to_have_attribute("aria-label", re.compile("1 of 2: piano 2"))
    page.fill("#overlap", "0.2")
    page.keyboard.press("Tab")
    page.click("#join")
    expect(page.locator("#stage-title")).to_have_text("piano 2 + piano 1")
    expect(page.locator(".card")).to_have_count(3)
    expect(page.locator(".card .facts").first).to_contain_text("0.8 s")


def test_a_clip_is_dragged_to_the_timeline(page, make):
    make(page)
    page.click("#add")
    page.locator(".card").drag_to(page.locator("#timeline ol"))
    expect(page.locator("#timeline li")).to_have_count(2)


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_runs_out_of_the_window(new_profile, open_page, site, make, width):
    view = {"width": width, "height": 800}
    page = open_page(new_profile(viewport=view, has_touch=width < 500), site.entrance)
    make(page, "piano and a very long line of instruments that has to wrap " * 3)
    page.click("#add")
    widest = page.evaluate("() => document.documentElement.scrollWidth")
    page.click("#model")
    assert max(widest, page.evaluate("() => document.documentElement.scrollWidth")) <= width


def test_the_running_time_is_no_live_region(page):
    expect(page.locator("#stage .time")).to_be_visible()
    expect(page.locator("#stage").get_by_role("status")).to_have_count(0)


def test_axe_finds_nothing_serious(new_profile, open_page, site, make):
    if not AXE.is_file():
        pytest.skip("axe-core is not installed (cd player && npm ci)")
    # axe is put into the page as text, which the page's own policy forbids
    page = open_page(new_profile(bypass_csp=True), site.entrance)
    make(page)
    page.click("#add")
    page.evaluate(AXE.read_text("utf-8"))
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert serious_findings(page) == []
        page.click("#model")
        assert serious_findings(page) == []
        page.keyboard.press("Escape")


def serious_findings(page):
    """Rule and first element of what axe finds serious."""
    found = page.evaluate("() => axe.run().then((results) => results.violations)")
    return [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in SERIOUS]


SERIOUS = ("serious", "critical")
