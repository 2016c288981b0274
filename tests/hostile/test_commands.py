"""Command lines and requests of any words: an exit code and a line, never a traceback."""

from pathlib import Path
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from hypothesis import strategies as st

from dmm.cli import run
from dmm.ui.model_library import find_models
from dmm.ui.server import create_app, open_purged_workspace

OPTIONS = (
    "--help --out --seed --count --seconds --prompt --format --set --steps --source --input --lora "
    "--overlap --json --model --dataset --base -- nan inf -1 1e999 0 x.flac . .. /dev/null "
    "/proc/self/mem { piano nano = a=b none.safetensors"
)
NANO = Path(__file__).parents[2] / "models" / "nano"
ROUTES = [
    f"/api/{name}"
    for name in "clips variations favourite delete restore timeline songs cancel".split()
]
WORDS = st.sampled_from([*OPTIONS.split(), "a" * 300, "\x1b[2J", "\0", ""]) | st.text(max_size=6)
COMMANDS = (
    ["encode"], ["decode"], ["stitch"], ["data", "build"], ["data", "check"], ["data", "show"],
    ["data", "stats"], ["data", "captions", "diff"], ["train", "--explain"], ["nonsense"],
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_any_words_end_in_an_exit_code(
    command, count, tmp_path, monkeypatch, capsys, try_inputs, hostile
):
    monkeypatch.chdir(tmp_path)

    def target(words):
        code = run([*command, *words])
        shown = capsys.readouterr()
        assert code in (0, 1, 2), shown.err
        assert "Traceback" not in shown.err and "\x1b[2J" not in shown.err + shown.out

    try_inputs("command lines", st.lists(WORDS, max_size=6), target, count)


@pytest.fixture
def page(tmp_path):
    workspace = open_purged_workspace(find_models([NANO]), tmp_path, "cpu")
    home = "http://127.0.0.1:8377"
    app = create_app(workspace, 8377, "secret")
    client = TestClient(app, base_url=home, headers={"origin": home}, raise_server_exceptions=True)
    client.get("/?token=secret")
    return client


@pytest.mark.parametrize("route", ROUTES)
def test_any_request_is_answered(page, route, count, try_inputs, hostile):
    fields = st.sampled_from(
        [
            "prompts",
            "count",
            "seed",
            "model",
            "clips",
            "clip",
            "strength",
            "is_favourite",
            "overlap_s",
            "name",
            "type",
            "loras",
            "steps",
        ]
    )
    bodies = st.dictionaries(fields, hostile.values, max_size=6) | hostile.values

    def target(body):
        try:
            answer = page.post(route, json=body)
        except ValueError:  # the client itself writes no NaN
            return
        assert answer.status_code in (200, 202, 400, 403, 409, 422), answer.text
        assert page.get("/api/state").status_code == 200

    try_inputs("requests to the page", bodies, target, count)


def test_any_name_in_an_address_is_answered(page, count, try_inputs):
    def target(name):
        name = quote(name, safe="/%.")
        for address in (f"/clips/{name}.png", f"/clips/{name}.flac", f"/songs/{name}"):
            assert page.get(address).status_code in (200, 400, 403, 404, 405)

    names = st.text(max_size=20) | st.sampled_from(
        ["../../etc/passwd", "%2e%2e%2fx", "a\0", "." * 300]
    )
    try_inputs("addresses of the page", names, target, count)
