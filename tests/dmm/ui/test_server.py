import json
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import soundfile
from fastapi.testclient import TestClient

from dmm.errors import InputError
from dmm.serving.server import listen
from dmm.ui.server import create_app, open_purged_workspace
from dmm.ui.stored_clips import ClipsFolder

HOME = "http://127.0.0.1:8377"
ORDER = {"prompts": ["piano"], "count": 2, "seed": 3, "sampler": "euler", "steps": 1, "guidance": 1}


@pytest.fixture
def page(workspace):
    """The page in a browser that has its key."""
    client = TestClient(
        create_app(workspace, 8377, "secret"), base_url=HOME, headers={"origin": HOME}
    )
    assert "What shall it play?" in client.get("/?token=secret").text
    return client


@pytest.fixture
def order(workspace):
    return {**ORDER, "model": next(iter(workspace.library.models))}


def finished(page, workspace):
    workspace.jobs.wait(60.0)
    return page.get("/api/job").json()


def test_the_state_lists_models_formats_and_clips(page, put_clip, workspace):
    put_clip(workspace.clips.folder, "organ", 1)
    state = page.get("/api/state").json()
    (model,) = state["models"].values()
    assert (model["label"], model["kind"], model["format"]) == ("tiny", "SDXL", "nano")
    assert "nano" in state["formats"] and "euler" in state["samplers"]
    assert state["job"] is None and state["timeline"]["clips"] == [] and state["songs"] == []
    (clip,) = state["clips"]
    assert (clip["id"], clip["prompt"], clip["format"]) == ("organ-1", "organ", "nano")
    assert clip["duration_s"] == pytest.approx(5.12)


def test_an_order_becomes_clips(page, workspace, order):
    assert page.post("/api/clips", json=order).status_code == 202
    job = finished(page, workspace)
    assert (job["state"], job["note"], job["done"]) == ("done", "2 made", 2)
    clips = page.get("/api/clips").json()["clips"]
    assert [clip["id"] for clip in clips] == ["piano-4", "piano-3"]  # the newest first
    picture = page.get("/clips/piano-3.png")
    assert picture.headers["content-type"] == "image/png" and picture.content[:4] == b"\x89PNG"
    sound = page.get("/clips/piano-3.flac", headers={"range": "bytes=0-3"})
    assert sound.status_code == 206 and sound.content == b"fLaC"


def test_a_repeated_order_generates_nothing_and_a_changed_one_asks_first(page, workspace, order):
    page.post("/api/clips", json=order)
    finished(page, workspace)
    page.post("/api/clips", json=order)
    assert finished(page, workspace)["note"] == "all of them were there already"
    other = {**order, "guidance": 2}
    answer = page.post("/api/clips", json=other)
    assert answer.status_code == 409 and answer.json()["replaces"] == ["piano-3", "piano-4"]
    page.post("/api/clips", json={**other, "replace": True})
    assert finished(page, workspace)["note"] == "2 made"
    assert workspace.clips.clip_facts("piano-3")["guidance"] == 2


def test_cancelling_keeps_finished_clips(page, workspace, order, monkeypatch):
    from dmm.ui import clip_jobs

    generate = clip_jobs.generate

    def cancelled_after_one(*arguments, callbacks=None, **named):
        if callbacks:
            on_clip = callbacks.on_clip
            cancelling = lambda path: (workspace.jobs.cancel(), on_clip(path))  # noqa: E731
            callbacks = replace(callbacks, on_clip=cancelling)
        return generate(*arguments, callbacks=callbacks, **named)

    monkeypatch.setattr(clip_jobs, "generate", cancelled_after_one)
    page.post("/api/clips", json={**order, "count": 9})
    assert finished(page, workspace)["state"] == "cancelled"
    assert [clip["id"] for clip in page.get("/api/clips").json()["clips"]] == ["piano-3"]
    assert len(list(workspace.clips.folder.iterdir())) == 3


@pytest.mark.parametrize(
    ("change", "status", "expected"),
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
def test_an_invalid_order_is_an_error_of_one_line(page, workspace, order, change, status, expected):
    answer = page.post("/api/clips", json=order | change)
    if answer.status_code == 202:  # known only once the model is asked
        job = finished(page, workspace)
        assert job["state"] == "failed" and expected in job["note"]
        return
    detail = answer.json()["detail"]
    assert answer.status_code == status and expected in detail and "\n" not in detail


@pytest.mark.parametrize(
    "name",
    ["../secret", "..%2Fsecret", "%2e%2e/secret", "..\\secret", ".hidden", "/etc/passwd", ""],
)
def test_no_file_outside_the_folder_is_served(page, workspace, put_clip, name):
    for folder in (workspace.clips.folder, workspace.clips.folder.parent):
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
        workspace.clips.file_path(name, ".png")


def test_the_timeline_survives_a_restart(page, workspace, put_clip):
    ids = [put_clip(workspace.clips.folder, prompt, 1) for prompt in ("organ", "piano")]
    page.post("/api/timeline", json={"clips": ids, "overlap_s": 0.7})
    again = TestClient(create_app(workspace, 8377, "other"), base_url=HOME)
    again.get("/?token=other")
    assert again.get("/api/state").json()["timeline"] == {"clips": ids, "overlap_s": 0.7}


def test_a_timeline_becomes_a_song(page, workspace, put_clip):
    ids = [put_clip(workspace.clips.folder, prompt, 1) for prompt in ("organ", "piano")]
    song = {"clips": [*ids, ids[0]], "overlap_s": 0.5, "name": "../My Song", "align": False}
    for number in (1, 2):
        assert page.post("/api/songs", json=song).status_code == 202
        assert finished(page, workspace)["state"] == "done", number
    newest, first = page.get("/api/clips").json()["songs"]
    assert (first["name"], newest["name"]) == ("my-song.flac", "my-song-2.flac")
    assert first["duration_s"] == pytest.approx(3 * 5.12 - 2 * 0.5, abs=0.05)
    saved = page.get("/songs/my-song.flac")
    assert saved.content[:4] == b"fLaC"
    assert page.get("/songs/my-song.flac/picture").content[:4] == b"\x89PNG"
    assert soundfile.info(workspace.clips.folder / "songs" / "my-song.flac").duration > 10


def test_impossible_songs_are_errors(page, workspace, put_clip):
    clip = put_clip(workspace.clips.folder, "organ", 1)
    for clips, expected in (([], "empty"), ([clip, "gone"], "gone: no such clip")):
        answer = page.post("/api/songs", json={"clips": clips, "overlap_s": 0})
        assert answer.status_code == 400 and expected in answer.json()["detail"]


def test_a_damaged_clip_is_skipped(workspace, put_clip):
    folder = workspace.clips.folder
    for seed in (1, 2, 3):
        put_clip(folder, "organ", seed)
    (folder / "organ-1.json").write_text("{")
    (folder / "organ-2.flac").write_bytes(b"no")
    clips, count = ClipsFolder(folder).newest_clips_and_count(10)
    assert [clip["id"] for clip in clips] == ["organ-3"] and count == 3


def test_the_newest_clips_and_the_requested_ones_are_listed(workspace, put_clip):
    for seed in (1, 2, 3):
        put_clip(workspace.clips.folder, "organ", seed)
    clips, count = workspace.clips.newest_clips_and_count(1, also=["organ-1", "gone"])
    assert [clip["id"] for clip in clips] == ["organ-3", "organ-1"] and count == 3


def test_it_listens_on_the_loopback_only():
    with listen(0, "dmm ui") as server:
        address, port = server.getsockname()
        assert address == "127.0.0.1" and port > 0
        with pytest.raises(InputError, match=f"port {port}: .*--port"):
            listen(port, "dmm ui")
        assert server.family == socket.AF_INET


def test_the_page_loads_nothing_from_elsewhere(page):
    html = page.get("/").text
    assert not re.search(r"(src|href)=\"(https?:)?//", html)
    assert not re.search(r"<script(?![^>]*src)|\son\w+=|style=", html)
    for path in re.findall(r"(?:src|href)=\"(/static/[^\"]+)\"", html):
        assert page.get(path).status_code == 200
    assert json.loads(page.get("/api/clips").text)["clips"] == []


def test_a_clip_is_varied_with_the_model_that_made_it(page, workspace, order):
    page.post("/api/clips", json={**order, "count": 1})
    finished(page, workspace)
    assert page.post("/api/variations", json={"clip": "piano-3", "count": 2}).status_code == 202
    assert finished(page, workspace)["note"] == "2 made"
    made = {clip["id"]: clip for clip in page.get("/api/clips").json()["clips"]}
    assert made.keys() == {"piano-3", "piano-3-v4", "piano-3-v5"}
    assert made["piano-3-v4"]["drift"] == [[4, 0.2]]


def test_a_clip_of_a_model_that_is_not_here_cannot_be_varied(page, workspace, put_clip):
    put_clip(workspace.clips.folder, "organ", 1)
    path = workspace.clips.folder / "organ-1.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_sha256": "0"}))
    answer = page.post("/api/variations", json={"clip": "organ-1"})
    assert answer.status_code == 400 and "not among those of this page" in answer.json()["detail"]


def test_a_deleted_clip_can_be_restored_until_the_page_is_opened_again(page, workspace, put_clip):
    folder = workspace.clips.folder
    put_clip(folder, "organ", 1)
    before = {path.name: path.read_bytes() for path in folder.glob("organ*")}
    assert page.post("/api/delete", json={"clip": "organ-1"}).status_code == 200
    assert page.get("/api/clips").json()["clips"] == [] and not list(folder.glob("organ*"))
    assert page.post("/api/restore", json={"clip": "organ-1"}).status_code == 200
    assert {path.name: path.read_bytes() for path in folder.glob("organ*")} == before
    page.post("/api/delete", json={"clip": "organ-1"})
    open_purged_workspace(workspace.library, folder, "cpu")
    assert page.post("/api/restore", json={"clip": "organ-1"}).status_code == 400


def test_favourites_are_kept(page, workspace, put_clip):
    put_clip(workspace.clips.folder, "organ", 1)
    page.post("/api/favourite", json={"clip": "organ-1", "is_favourite": True})
    assert page.get("/api/clips").json()["clips"][0]["is_favourite"]
    page.post("/api/favourite", json={"clip": "organ-1", "is_favourite": False})
    assert not page.get("/api/clips").json()["clips"][0]["is_favourite"]
    assert page.post("/api/favourite", json={"clip": "no", "is_favourite": True}).status_code == 400


@pytest.mark.parametrize("text", [b"[1]", b"3", b"{", b"\xff\xfe", b'{"prompt": NaN}'])
def test_the_page_opens_beside_a_damaged_clip(page, workspace, put_clip, text):
    good, bad = (put_clip(workspace.clips.folder, name, 1) for name in ("organ", "piano"))
    (workspace.clips.folder / f"{bad}.json").write_bytes(text)
    assert [clip["id"] for clip in page.get("/api/state").json()["clips"]] == [good]


def test_the_page_opens_beside_a_damaged_song(page, workspace):
    songs = workspace.clips.folder / "songs"
    songs.mkdir()
    for name in ("a.flac", "a.png"):
        (songs / name).write_bytes(b"no sound")
    assert page.get("/api/state").json()["songs"] == []


@pytest.mark.parametrize("text", [b"\xff", b"[]", b'{"clips": 1}', b""])
def test_the_page_opens_beside_a_damaged_timeline(page, workspace, text):
    (workspace.clips.folder / ".timeline.json").write_bytes(text)
    assert page.get("/api/state").json()["timeline"]["clips"] == []


def test_saves_of_the_timeline_at_once_all_succeed(page, workspace):
    def save(n):
        return page.post("/api/timeline", json={"clips": [f"c{n}"], "overlap_s": 1}).status_code

    with ThreadPoolExecutor(10) as pool:
        assert set(pool.map(save, range(10))) == {200}
    assert [path.name for path in workspace.clips.folder.iterdir()] == [".timeline.json"]
