import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from dmm.serving.guard import MAX_BODY, Guard

HOME = "http://127.0.0.1:8377"


@pytest.fixture
def app():
    app = FastAPI()
    app.add_middleware(
        Guard, port=8377, token="secret", command="dmm ui", page_headers=lambda _: {"x-own": "1"}
    )
    app.get("/")(lambda: "page")
    app.post("/order")(lambda: "done")
    return app


@pytest.fixture
def page(app):
    """A browser that has opened the printed address."""
    client = TestClient(app, base_url=HOME, follow_redirects=False)
    assert client.get("/?token=secret").json() == "page"
    return client


def test_the_printed_address_opens_the_page_and_gives_the_key(page):
    cookie = page.get("/?token=secret").headers["set-cookie"]
    assert "dmm-8377=secret" in cookie and "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert page.get("/").json() == "page"
    assert page.post("/order", headers={"origin": HOME}).json() == "done"


@pytest.mark.parametrize("path", ["/", "/?token=", "/?token=guess", "/order?token=secret"])
def test_requests_without_the_key_are_refused(app, path):
    answer = TestClient(app, base_url=HOME).get(path)
    assert answer.status_code == 403 and "open the address" in answer.text
    assert "set-cookie" not in answer.headers


def test_a_name_that_only_resolves_to_this_machine_is_refused(page):
    for host in ("evil.example:8377", "127.0.0.1", "127.0.0.1:80", "127.0.0.1:8377.evil.example"):
        assert page.get("/", headers={"host": host}).status_code == 403
    answer = page.get("/", headers={"host": "localhost:8377", "cookie": "dmm-8377=secret"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "https://127.0.0.1:8377"]
)
def test_other_origins_can_neither_change_nor_read(page, origin):
    assert page.post("/order", headers={"origin": origin}).status_code == 403
    assert page.get("/", headers={"origin": origin}).status_code == 403


def test_changing_requests_must_state_their_origin(page):
    assert page.post("/order").status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_sites_may_link_to_the_page_but_embed_nothing(page, site):
    headers = {"sec-fetch-site": site, "sec-fetch-mode": "no-cors"}
    assert page.get("/", headers=headers).status_code == 403
    linked = {"sec-fetch-site": site, "sec-fetch-mode": "navigate"}
    assert page.get("/", headers=linked).status_code == 200
    assert page.get("/order", headers=linked).status_code == 403


def test_every_answer_has_the_pages_headers_and_forbids_sniffing(page, app):
    for answer in (page.get("/"), TestClient(app, base_url=HOME).get("/")):
        assert answer.headers["x-own"] == "1"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"


def test_too_large_a_request_is_refused(page):
    headers = {"origin": HOME, "content-length": str(MAX_BODY + 1)}
    assert page.post("/order", headers=headers).status_code == 403


def test_a_broken_cookie_is_refused(app):
    client = TestClient(app, base_url=HOME)
    for cookie in ("dmm-8377", "\x80=;;", "dmm-1=secret", "dmm-8377=sécret"):
        assert client.get("/", headers={"cookie": cookie.encode()}).status_code == 403
