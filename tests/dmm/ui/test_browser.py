"""The page in a real browser, a headless Chromium; skipped where there is none."""

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import uvicorn

from dmm.serving.guard import LOOPBACK
from dmm.serving.server import listen
from dmm.ui.server import create_app

CARD, PLACED = "#clips .card", "#timeline .track li"


@dataclass
class Open:
    """A page of a running server."""

    page: Any
    address: str
    complaints: list[str]


@contextmanager
def serving(workspace):
    with listen(0, "dmm ui") as server:
        port = server.getsockname()[1]
        config = uvicorn.Config(create_app(workspace, port, "key"), log_level="error")
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [server]})
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{port}"
        finally:
            running.should_exit = True
            thread.join(10)


@contextmanager
def other_site(folder):
    """A plain server of the folder, on another port of this machine."""
    handler = partial(QuietHandler, directory=folder)
    with ThreadingHTTPServer((LOOPBACK, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join(10)


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def opened(new_profile, workspace, put_clip):
    """The page, with two clips in the folder."""
    for seed in (1, 2):
        put_clip(workspace.clips.folder, "organ", seed)
    with serving(workspace) as address:
        page, complaints = new_profile().new_page(), []
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{address}/?token=key")
        page.locator(CARD).nth(1).wait_for()
        yield Open(page, address, complaints)
        page.close()
    assert not complaints


def texts(page, selector):
    return page.locator(selector).all_inner_texts()


def expect_seeds(page, *seeds):
    """Wait until these are on the timeline, in order."""
    seed = "li => Number(/seed (\\d+)/.exec(li.ariaLabel)[1])"
    found = f"[...document.querySelectorAll('{PLACED}')].map({seed})"
    page.wait_for_function(f"seeds => String({found}) === String(seeds)", arg=list(seeds))


def test_the_key_leaves_the_address_and_other_browsers_are_refused(opened, new_profile):
    assert opened.page.url == f"{opened.address}/"
    stranger = new_profile().new_page()
    assert stranger.goto(opened.address).status == 403


def test_a_page_of_another_port_can_neither_order_nor_embed(
    opened, workspace, monkeypatch, tmp_path
):
    reached = []
    monkeypatch.setattr(type(workspace.jobs), "cancel", lambda jobs: reached.append(jobs))
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "index.html").write_text("<title>evil</title>")
    with other_site(tmp_path / "evil") as address:
        other = opened.page.context.new_page()  # its requests bear the key, as of the same host
        other.goto(address)
        sent = other.evaluate(
            "address => fetch(address + '/api/cancel', {method: 'POST', mode: 'no-cors',"
            " credentials: 'include'}).then(() => 'answered', () => 'not answered')",
            opened.address,
        )
        shown = other.evaluate(
            "address => new Promise(done => { const image = new Image();"
            " image.onload = () => done(true); image.onerror = () => done(false);"
            " image.src = address + '/clips/organ-1.png'; })",
            opened.address,
        )
        other.close()
    assert sent == "not answered" and not shown and not reached


def test_clips_are_generated_joined_and_shown_after_a_reload(opened, workspace):
    page = opened.page
    page.get_by_label("Prompts, one a line").fill("piano, slow\nharp")
    page.get_by_label("Clips of each").fill("1")
    page.get_by_label("Seed", exact=True).fill("7")
    page.get_by_text("Model and sampling").click()
    page.get_by_label("Steps").fill("1")
    page.get_by_role("button", name="Make 2 clips").click()
    page.locator(CARD).nth(3).wait_for()
    assert texts(page, f"{CARD} h3") == ["harp", "piano, slow", "organ", "organ"]
    page.locator("#job").wait_for(state="hidden")
    assert page.get_by_label("Seed", exact=True).input_value() == "9"

    for name in ("piano_slow-7", "harp-8"):
        page.get_by_role("button", name=f"Add {name} to the timeline").click()
    page.get_by_role("button", name="Export").click()
    page.locator(".song").wait_for()
    assert (workspace.clips.folder / "songs" / "song.flac").is_file()
    page.locator("#job").wait_for(state="hidden")
    page.get_by_role("button", name="Export").click(trial=True)  # enabled again

    page.reload()
    expect_seeds(page, 7, 8)
    page.locator(".song h3").get_by_text("song.flac").wait_for()
    assert page.get_by_label("Prompts, one a line").input_value() == "piano, slow\nharp"


def test_the_image_is_the_time_axis_by_mouse_and_by_keys(opened):
    page = opened.page
    picture = page.get_by_role("slider", name="Time in organ-2")
    box = picture.bounding_box()
    picture.click(position={"x": box["width"] / 2, "y": 10})
    page.locator(f"{CARD} .play[aria-pressed=true]").wait_for()
    assert 2.4 < float(picture.get_attribute("aria-valuenow")) < 4.5
    page.get_by_role("button", name="Play organ-2").click()
    page.locator(f"{CARD} .play[aria-pressed=true]").wait_for(state="detached")
    picture.press("Home")
    picture.press("ArrowRight")
    picture.press("ArrowRight")
    assert picture.get_attribute("aria-valuetext") == "0.5 of 5.1 seconds"


def test_the_timeline_works_by_drag(opened):
    page = opened.page
    first, second = page.locator(CARD).nth(0), page.locator(CARD).nth(1)  # seeds 2 and 1
    first.drag_to(page.locator(".track"))
    second.drag_to(page.locator(".track"), target_position={"x": 900, "y": 40})
    expect_seeds(page, 2, 1)
    second.drag_to(page.locator(PLACED).nth(1), target_position={"x": 40, "y": 40})
    expect_seeds(page, 2, 1, 1)
    page.locator(PLACED).nth(2).drag_to(
        page.locator(PLACED).nth(0), target_position={"x": 20, "y": 40}
    )
    expect_seeds(page, 1, 2, 1)


def test_the_timeline_works_by_keys_only(opened, workspace):
    page = opened.page
    for name in ("organ-1", "organ-2", "organ-1"):
        page.get_by_role("button", name=f"Add {name} to the timeline").press("Enter")
    page.locator(PLACED).nth(0).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowLeft")
    expect_seeds(page, 2, 1, 1)
    assert page.locator("#whispers").inner_text() == "organ-2 is number 1 of 3"
    page.keyboard.press("End")
    page.keyboard.press("Delete")
    expect_seeds(page, 2, 1)
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Stop").click()
    page.get_by_label("Overlap").fill("1.5")
    with page.expect_response(lambda answer: saves_overlap(answer.request, 1.5)):
        page.get_by_label("Overlap").press("Tab")
    page.locator("#timeline-title").get_by_text("2 clips, 8.7 s").wait_for()
    page.reload()
    expect_seeds(page, 2, 1)
    assert workspace.timeline.read().overlap_s == 1.5


def saves_overlap(request, seconds):
    is_save = request.url.endswith("/api/timeline") and request.method == "POST"
    return is_save and request.post_data_json["overlap_s"] == seconds


def test_a_job_is_followed_after_a_reload_and_can_be_cancelled(opened, workspace):
    page = opened.page
    page.get_by_label("Prompts, one a line").fill("piano")
    page.get_by_label("Clips of each").fill("64")
    page.get_by_text("Model and sampling").click()
    page.get_by_label("Steps").fill("200")
    page.get_by_role("button", name="Make 64 clips").click()
    page.get_by_role("button", name="Cancel").wait_for()
    page.reload()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("Clips: cancelled").wait_for()
    assert workspace.jobs.last.state == "cancelled"


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (820, "dark"), (1280, "light")])
def test_nothing_is_wider_than_the_window(opened, new_profile, scheme, width):
    view = {"width": width, "height": 844}
    page = new_profile(viewport=view, color_scheme=scheme, bypass_csp=True).new_page()
    page.goto(f"{opened.address}/?token=key")
    page.locator(CARD).nth(1).wait_for()
    for name in ("organ-1", "organ-2", "organ-1", "organ-2"):
        page.get_by_role("button", name=f"Add {name} to the timeline").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    small = page.evaluate(
        "[...document.querySelectorAll('button, select, .button')]"
        ".filter(e => e.offsetParent && e.offsetHeight < 24).map(e => e.outerHTML)"
    )
    assert small == []  # WCAG 2.2, 2.5.8: targets of 24 pixels


def test_add_shows_that_it_did_and_delete_can_be_undone(opened):
    page = opened.page
    page.get_by_role("button", name="Add organ-1").click()
    page.get_by_text("Added ✓").wait_for()
    page.get_by_text("1 clip, ").wait_for()
    page.get_by_role("button", name="Favourite organ-1").click()
    page.locator(f"{CARD} .star[aria-pressed=true]").wait_for()
    page.get_by_role("button", name="Delete organ-2").click()
    page.locator(CARD).nth(1).wait_for(state="detached")
    page.get_by_role("button", name="Undo").click()
    page.locator(CARD).nth(1).wait_for()
    page.get_by_label("Favourites only").check()
    page.locator(CARD).nth(1).wait_for(state="detached")
    assert page.locator(CARD).count() == 1
    page.get_by_role("button", name="Favourite organ-1").click()
    page.get_by_text("No favourites yet").wait_for()
