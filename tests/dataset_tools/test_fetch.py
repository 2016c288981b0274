"""Downloads that are interrupted, damaged or too large, from a server on this machine."""

import hashlib
import io
import shutil
import socket
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dataset_tools import fetch
from dataset_tools.fetch import fetch_collection
from dataset_tools.public_collections import (
    COLLECTIONS,
    Collection,
    RemoteFile,
    find_collection,
)
from dataset_tools.unpack import unpack
from dmm.errors import DmmError

TABLE = b"caption_id,track_id\n" * 4000


def archive(**files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return packed.getvalue()


AUDIO = archive(**{"audio/34/1004034.2min.mp3": b"\xff\xfb" * 5000, "audio/07/7.2min.mp3": b"x"})


class Server(ThreadingHTTPServer):
    """Serves ``files``; ``breaks`` holds after how many bytes the next answers break off."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.files = {"table.csv": TABLE, "audio.zip": AUDIO}
        self.breaks = []
        self.ranges = []
        self.resumes = True


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        content = self.server.files.get(self.path.strip("/"))
        if content is None:
            self.send_error(404)
            return
        asked = self.headers["Range"]
        self.server.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if self.server.resumes else 0
        self.send_response(206 if self.server.resumes else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        rest = content[start:]
        self.wfile.write(rest[: self.server.breaks.pop(0)] if self.server.breaks else rest)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def collection(server):
    return Collection(
        page="https://example.org/record",
        licence="CC0",
        files=tuple(
            RemoteFile(name, len(content), hashlib.md5(content).hexdigest())
            for name, content in server.files.items()
        ),
        file_url=f"http://127.0.0.1:{server.server_port}/NAME",
    )


def test_files_arrive_whole_and_archives_unpacked_and_nothing_is_loaded_twice(
    collection, server, tmp_path
):
    fetch_collection(collection, tmp_path, pause_s=0.0)
    assert (tmp_path / "table.csv").read_bytes() == TABLE
    assert (tmp_path / "audio" / "07" / "7.2min.mp3").read_bytes() == b"x"
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"table.csv", "audio", "fetched.json"}
    fetch_collection(collection, tmp_path, pause_s=0.0)
    assert len(server.ranges) == 2


def test_broken_connection_goes_on_where_it_broke_off(collection, server, tmp_path):
    server.breaks = [30_000, 7, 0]
    fetch_collection(collection, tmp_path, pause_s=0.0)
    assert (tmp_path / "table.csv").read_bytes() == TABLE
    assert server.ranges[:4] == ["bytes=0-", "bytes=30000-", "bytes=30007-", "bytes=30007-"]


def test_part_of_an_earlier_run_is_used(collection, server, tmp_path):
    server.breaks = [50_000, *[0] * fetch.TRIES]
    with pytest.raises(DmmError, match="cannot be reached"):
        fetch_collection(collection, tmp_path, pause_s=0.0)
    assert (tmp_path / "table.csv.part").stat().st_size == 50_000
    server.breaks, server.ranges = [], []
    fetch_collection(collection, tmp_path, pause_s=0.0)
    assert server.ranges[0] == "bytes=50000-" and (tmp_path / "table.csv").read_bytes() == TABLE


def test_server_that_cannot_resume_is_read_from_the_beginning(collection, server, tmp_path):
    server.resumes, server.breaks = False, [30_000]
    fetch_collection(collection, tmp_path, pause_s=0.0)
    assert (tmp_path / "table.csv").read_bytes() == TABLE


def test_wrong_bytes_are_removed_and_named(collection, server, tmp_path):
    server.files["table.csv"] = TABLE[::-1]
    with pytest.raises(DmmError, match=r"table.csv: MD5 .* is not the record's"):
        fetch_collection(collection, tmp_path, pause_s=0.0)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_reported_before_the_download(collection, server, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DmmError, match=r"MB are needed, 0 MB are free"):
        fetch_collection(collection, tmp_path / "new", pause_s=0.0)
    assert server.ranges == [] and not (tmp_path / "new").exists()


def test_without_a_network_one_line_says_how_to_do_it_by_hand(collection, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(DmmError, match=r"with a browser, put them into .* run this again") as error:
        fetch_collection(collection, tmp_path)
    assert "https://example.org/record" in str(error.value) and "\n" not in str(error.value)


def test_files_put_there_by_hand_need_no_network(collection, server, tmp_path):
    for name, content in server.files.items():
        (tmp_path / name).write_bytes(content)
    fetch_collection(collection, tmp_path)
    assert server.ranges == [] and (tmp_path / "audio" / "07" / "7.2min.mp3").is_file()


def test_a_missing_file_is_requested_once(collection, server, tmp_path):
    del server.files["table.csv"]
    with pytest.raises(DmmError, match="HTTP 404"):
        fetch_collection(collection, tmp_path)


def test_without_audio_only_the_texts_are_loaded(collection, tmp_path):
    assert fetch_collection(collection, tmp_path, audio=False) == [tmp_path / "table.csv"]
    assert not (tmp_path / "audio").exists()


@pytest.mark.parametrize("name", ["../evil.mp3", "/evil.mp3", "a/../../evil.mp3", "C:\\evil.mp3"])
def test_archive_that_leaves_the_folder_is_refused_whole(tmp_path, name):
    packed = tmp_path / "audio.zip"
    packed.write_bytes(archive(**{"good.mp3": b"x", name: b"x"}))
    with pytest.raises(DmmError, match="leaves the folder; nothing was unpacked"):
        unpack(packed, tmp_path / "out")
    assert {path.name for path in tmp_path.rglob("*")} == {"audio.zip"}


def test_links_bombs_and_damage_in_archives_are_refused(tmp_path):
    packed = tmp_path / "audio.zip"
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(packed, "w") as opened:
        opened.writestr(link, "/etc/passwd")
    with pytest.raises(DmmError, match="leaves the folder"):
        unpack(packed, tmp_path)
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("zeros", bytes(20_000_000))
    with pytest.raises(DmmError, match="far too much"):
        unpack(packed, tmp_path)
    packed.write_bytes(AUDIO[: len(AUDIO) // 2])
    with pytest.raises(DmmError, match="damaged"):
        unpack(packed, tmp_path)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_corrupt_stream_in_an_archive_is_damage(tmp_path, method):
    packed = tmp_path / "audio.zip"
    with zipfile.ZipFile(packed, "w", method) as opened:
        opened.writestr("a", bytes(range(256)) * 40)
    content = bytearray(packed.read_bytes())
    first = 30 + len("a") + 9 * (method == zipfile.ZIP_LZMA)  # after the member's header
    content[first : first + 8] = b"\xff" * 8
    packed.write_bytes(content)
    with pytest.raises(DmmError, match=r"damaged .*; remove it and run again"):
        unpack(packed, tmp_path / "out")
    assert not list(tmp_path.glob("out/*"))


def test_record_of_song_describer_is_whole():
    files = COLLECTIONS["sdd"].files
    assert [f.name for f in files if f.is_archive] == ["audio.zip"]
    assert all(len(f.md5) == 32 and f.size > 90_000 for f in files)


def test_unknown_collection_names_the_known():
    with pytest.raises(DmmError, match="no collection 'nope'; known: sdd"):
        find_collection("nope")
