import json

import pytest
from starlette.testclient import TestClient

from dmm.web.offers import open_or_export_bundles
from dmm.web.page import page_headers
from dmm.web.server import create_app

HOME = "http://127.0.0.1:8378"
POLICY = "default-src 'none'; connect-src 'self'"


@pytest.fixture
def client(toy, tmp_path):
    """A browser that has opened the printed address of a page of one line."""
    meta = f'<meta http-equiv="content-security-policy" content="{POLICY}">'
    (tmp_path / "index.html").write_text(meta)
    app = create_app(tmp_path, open_or_export_bundles([toy]), 8378, "secret")
    client = TestClient(app, base_url=HOME)
    assert client.get("/?token=secret").status_code == 200
    return client


def test_the_page_is_isolated_and_asks_nobody_else(client):
    headers = client.get("/").headers
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-embedder-policy"] == "require-corp"
    assert headers["content-security-policy"] == f"{POLICY}; frame-ancestors 'none'"


def test_only_the_worker_that_fetches_models_may_ask_other_sites():
    def asks(path):
        return "https:" in page_headers(POLICY, path)["content-security-policy"]

    assert asks("/assets/download.worker-AbC1.js")
    assert not any(map(asks, ("/", "/assets/draw.worker-x.js", "/a/assets/download.worker-x.js")))


def test_only_files_named_by_their_content_stay_in_the_browser(client, tmp_path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "runtime-AbC1.wasm").write_bytes(b"1")

    def kept(path):
        return "immutable" in client.get(path).headers["cache-control"]

    assert kept("/assets/runtime-AbC1.wasm")
    assert not any(map(kept, ("/", "/assets/gone.wasm", "/bundles/index.json")))
    stranger = TestClient(client.app, base_url=HOME).get("/assets/runtime-AbC1.wasm")
    assert (stranger.status_code, stranger.headers["cache-control"]) == (403, "no-store")


def test_bundles_are_listed_and_served_in_ranges(client, toy):
    (listed,) = client.get("/bundles/index.json").json()["bundles"]
    address = f"/bundles/{listed['path']}"
    assert json.loads(client.get(f"{address}/bundle.json").text)["name"] == "toy"
    data = (toy / "unet.onnx").read_bytes()
    part = client.get(f"{address}/unet.onnx", headers={"range": "bytes=100-"})
    assert part.status_code == 206 and part.content == data[100:]


@pytest.mark.parametrize(
    "path", ["/bundles/toy/secret", "/bundles/toy/../../etc/passwd", "/bundles/other/mel.json"]
)
def test_nothing_but_bundles_is_served(client, path):
    assert client.get(path).status_code == 404


def test_a_stranger_is_refused(client):
    stranger = TestClient(client.app, base_url=HOME)
    answer = stranger.get("/bundles/index.json")
    assert answer.status_code == 403 and "dmm web printed" in answer.text
