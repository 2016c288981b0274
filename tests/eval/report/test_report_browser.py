"""The report in a real browser, a headless Chromium; skipped where there is none."""

import pytest

from eval.report.report import write_report


@pytest.fixture
def page(new_profile, clips, dataset, tmp_path, reader):
    """The opened report; no error of its script and no request but for itself is forgiven."""
    write_report(clips, dataset, tmp_path / "out", reader)
    opened = new_profile().new_page()
    complaints, requests = [], []
    opened.on("pageerror", lambda error: complaints.append(error))
    opened.on("request", lambda asked: requests.append(asked.url))
    opened.goto((tmp_path / "out" / "report.html").as_uri())
    yield opened
    opened.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []


def playing(page):
    return page.evaluate("[playing?.className.includes('playing'), playing?.dataset.media]")


def test_a_point_of_the_map_plays_and_the_next_sound_takes_its_place(page):
    point = page.locator("button.point.clips").first
    point.evaluate("point => point.click()")  # points may lie on each other
    page.wait_for_selector(".stage .picture.playing")
    key = point.get_attribute("data-media")
    assert playing(page) == [True, key]
    assert page.locator(".stage .id").inner_text() in key
    page.locator(".mini").first.click()
    page.wait_for_selector(".mini.playing")
    assert page.locator(".playing").count() == 1


def test_a_click_on_a_picture_plays_from_that_place_and_its_badge_pauses(page):
    picture = page.locator(".grid .picture").first
    box = picture.bounding_box()
    picture.click(position={"x": box["width"] * 0.6, "y": 20})
    page.wait_for_function("audio.currentTime > 0.5 * audio.duration")
    picture.locator(".badge").click()
    page.wait_for_function("audio.paused")


def test_a_tables_head_sorts_it_both_ways(page):
    head = page.locator("th", has_text="Similarity")
    found = []
    for _ in range(2):
        head.click()
        cells = page.locator(".sortable").first.locator("tbody td:nth-child(3) data")
        found.append(cells.evaluate_all("all => all.map(x => +x.value)"))
    assert found[0] == sorted(found[0])
    assert found[1] == sorted(found[0], reverse=True)


@pytest.mark.parametrize("width", [360, 1400])
def test_nothing_sticks_out_of_the_window(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
