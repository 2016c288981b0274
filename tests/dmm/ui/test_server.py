import json
import re
import socket

import pytest
import soundfile
from fastapi.testclient import TestClient

from dmm.errors import InputError
from dmm.ui.clips import ClipsFolder
from dmm.ui.server import create_app, listen

HOME = "http://127.0.0.1:8377"
ORDER = {"prompts": ["piano"], "count": 2, "seed": 3, "sampler": "euler", "steps": 1, "guidance": 1}


@pytest.fixture
def page(desk):
    """The page in a browser that has its key."""
    client = TestClient(create_app(desk, 8377, "secret"), base_url=HOME, headers={"origin": HOME})
    assert "What shall it play?" in client.get("/?token=secret").text
    return client


@pytest.fixture
def order(desk):
    return {**ORDER, "model": next(iter(desk.library.models))}


def finished(page, desk):
    desk.jobs.wait(60.0)
    return page.get("/api/job").json()


def test_the_state_offers_what_there_is(page, put_clip, desk):
    put_clip(desk.clips.folder, "organ", 1)
    state = page.get("/api/state").json()
    (model,) = state["models"].values()
    assert (model["label"], model["kind"], model["format"]) == ("tiny", "SDXL", "nano")
    assert "nano" in state["formats"] and "euler" in state["samplers"]
    assert state["job"] is None and state["timeline"]["clips"] == [] and state["songs"] == []
    (clip,) = state["clips"]
    assert (clip["id"], clip["prompt"], clip["format"]) == ("organ-1", "organ", "nano")
    assert clip["duration_s"] == pytest.approx(5.12)


def test_an_order_becomes_clips(page, desk, order):
    assert page.post("/api/clips", json=order).status_code == 202
    job = finished(page, desk)
    assert (job["state"], job["note"], job["done"]) == ("done", "2 made", 2)
    clips = page.get("/api/clips").json()["clips"]
    assert [clip["id"] for clip in clips] == ["piano-4", "piano-3"]  # the newest first
    picture = page.get("/clips/piano-3.png")
    assert picture.headers["content-type"] == "image/png" and picture.content[:4] == b"\x89PNG"
    sound = page.get("/clips/piano-3.flac", headers={"range": "bytes=0-3"})
    assert sound.status_code == 206 and sound.content == b"fLaC"


def test_the_same_order_again_makes_nothing_and_another_asks_first(page, desk, order):
    page.post("/api/clips", json=order)
    finished(page, desk)
    page.post("/api/clips", json=order)
    assert finished(page, desk)["note"] == "all of them were there already"
    other = {**order, "guidance": 2}
    answer = page.post("/api/clips", json=other)
    assert answer.status_code == 409 and answer.json()["replaces"] == ["piano-3", "piano-4"]
    page.post("/api/clips", json={**other, "replace": True})
    assert finished(page, desk)["note"] == "2 made"
    assert desk.clips.facts("piano-3")["guidance"] == 2


def test_cancelling_keeps_what_is_finished(page, desk, order, monkeypatch):
    from dmm.ui import making

    made = making.make_clips

    def slow(*arguments):
        watch = arguments[-1]
        on_clip = watch.on_clip
        object.__setattr__(watch, "on_clip", lambda path: (desk.jobs.cancel(), on_clip(path)))
        return made(*arguments)

    monkeypatch.setattr(making, "make_clips", slow)
    page.post("/api/clips", json={**order, "count": 9})
    assert finished(page, desk)["state"] == "cancelled"
    assert [clip["id"] for clip in page.get("/api/clips").json()["clips"]] == ["piano-3"]
    assert len(list(desk.clips.folder.iterdir())) == 3


@pytest.mark.parametrize(
    ("change", "status", "told"),
    [
        ({"prompts": []}, 422, "prompts"),
        ({"prompts": ["x"] * 64, "count": 64}, 422, "256 at most"),
        ({"steps": 0}, 422, "steps"),
        ({"guidance": "NaN"}, 422, "guidance"),
        ({"seed": -1}, 422, "seed"),
        ({"out": "/etc"}, 422, "out"),
        ({"model": "/etc/passwd"}, 400, "no such model"),
        ({"loras": [{"name": "../x.safetensors"}]}, 400, "no LoRA for"),
        ({"format": "../../secret"}, 400, "format"),
        ({"sampler": "magic"}, 400, "no sampler"),
    ],
)
def test_what_cannot_be_made_is_told_in_one_line(page, desk, order, change, status, told):
    answer = page.post("/api/clips", json=order | change)
    if answer.status_code == 202:  # known only once the model is asked
        job = finished(page, desk)
        assert job["state"] == "failed" and told in job["note"]
        return
    detail = answer.json()["detail"]
    assert answer.status_code == status and told in detail and "\n" not in detail


@pytest.mark.parametrize(
    "name",
    ["../secret", "..%2Fsecret", "%2e%2e/secret", "..\\secret", ".hidden", "/etc/passwd", ""],
)
def test_no_file_outside_the_folder_is_reached(page, desk, put_clip, name):
    for folder in (desk.clips.folder, desk.clips.folder.parent):
        put_clip(folder, "secret", 1)
        (folder / ".hidden.png").touch()
    for path in (
        f"/clips/{name}-1.flac",
        f"/clips/{name}.png",
        f"/songs/{name}",
        f"/static/{name}",
    ):
        assert page.get(path).status_code in (400, 404, 405)
    with pytest.raises(InputError, match="no such clip"):
        desk.clips.file(name, ".png")


def test_the_timeline_outlasts_the_server(page, desk, put_clip):
    ids = [put_clip(desk.clips.folder, prompt, 1) for prompt in ("organ", "piano")]
    page.post("/api/timeline", json={"clips": ids, "overlap_s": 0.7})
    again = TestClient(create_app(desk, 8377, "other"), base_url=HOME)
    again.get("/?token=other")
    assert again.get("/api/state").json()["timeline"] == {"clips": ids, "overlap_s": 0.7}


def test_a_timeline_becomes_a_song(page, desk, put_clip):
    ids = [put_clip(desk.clips.folder, prompt, 1) for prompt in ("organ", "piano")]
    song = {"clips": [*ids, ids[0]], "overlap_s": 0.5, "name": "../My Song", "align": False}
    for number in (1, 2):
        assert page.post("/api/songs", json=song).status_code == 202
        assert finished(page, desk)["state"] == "done", number
    newest, first = page.get("/api/clips").json()["songs"]
    assert (first["name"], newest["name"]) == ("my-song.flac", "my-song-2.flac")
    assert first["duration_s"] == pytest.approx(3 * 5.12 - 2 * 0.5, abs=0.05)
    saved = page.get("/songs/my-song.flac")
    assert saved.content[:4] == b"fLaC"
    assert page.get("/songs/my-song.flac/picture").content[:4] == b"\x89PNG"
    assert soundfile.info(desk.clips.folder / "songs" / "my-song.flac").duration > 10


def test_songs_that_cannot_be_are_told(page, desk, put_clip):
    clip = put_clip(desk.clips.folder, "organ", 1)
    for clips, told in (([], "empty"), ([clip, "gone"], "gone: no such clip")):
        answer = page.post("/api/songs", json={"clips": clips, "overlap_s": 0})
        assert answer.status_code == 400 and told in answer.json()["detail"]


def test_a_damaged_clip_is_passed_over(desk, put_clip):
    folder = desk.clips.folder
    for seed in (1, 2, 3):
        put_clip(folder, "organ", seed)
    (folder / "organ-1.json").write_text("{")
    (folder / "organ-2.flac").write_bytes(b"no")
    clips, count = ClipsFolder(folder).newest(10)
    assert [clip["id"] for clip in clips] == ["organ-3"] and count == 3


def test_the_newest_come_and_those_asked_for(desk, put_clip):
    for seed in (1, 2, 3):
        put_clip(desk.clips.folder, "organ", seed)
    clips, count = desk.clips.newest(1, also=["organ-1", "gone"])
    assert [clip["id"] for clip in clips] == ["organ-3", "organ-1"] and count == 3


def test_it_listens_on_the_loopback_alone():
    with listen(0) as server:
        address, port = server.getsockname()
        assert address == "127.0.0.1" and port > 0
        with pytest.raises(InputError, match=f"port {port}: .*--port"):
            listen(port)
        assert server.family == socket.AF_INET


def test_the_page_holds_nothing_from_elsewhere(page):
    html = page.get("/").text
    assert not re.search(r"(src|href)=\"(https?:)?//", html)
    assert not re.search(r"<script(?![^>]*src)|\son\w+=|style=", html)
    for path in re.findall(r"(?:src|href)=\"(/static/[^\"]+)\"", html):
        assert page.get(path).status_code == 200
    assert json.loads(page.get("/api/clips").text)["clips"] == []
