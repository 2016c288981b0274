"""Where the player runs: WebGPU or not, isolated or not, online or not, and whom it asks."""

import functools
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from dmm.web.offers import open_or_export_bundles
from dmm.web.site import write_site


class Quiet(SimpleHTTPRequestHandler):
    """A static host that sends no header of its own."""

    def log_message(self, *_):
        pass


@pytest.fixture
def static_site(built, toy, tmp_path):
    """Address of what ``dmm web --build`` wrote, below a path as on GitHub Pages."""
    write_site(built, open_or_export_bundles([toy]), tmp_path / "host" / "player")
    handler = functools.partial(Quiet, directory=tmp_path / "host")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/player/"
        server.shutdown()


def label(page):
    """The model and where it runs."""
    return page.locator("#model small")


def test_without_webgpu_it_runs_in_webassembly_with_threads_and_says_so(page):
    assert page.evaluate("() => crossOriginIsolated")
    expect(label(page)).to_contain_text("WebAssembly")
    page.click("#model")
    expect(page.locator("#models .machine")).to_contain_text("no graphics card answers")


def test_a_static_host_is_isolated_by_the_service_worker(context, static_site, make):
    page = context.new_page()
    page.goto(static_site, wait_until="commit")  # it loads again, perhaps before it is complete
    page.wait_for_function("() => crossOriginIsolated")
    page.wait_for_selector("#make:enabled")
    make(page)
    policy = page.evaluate("() => fetch('.').then((r) => r.headers.get('content-security-policy'))")
    assert "connect-src 'self'" in policy and "https:" not in policy


def test_without_isolation_one_thread_does_it(new_profile, open_page, static_site, make):
    page = open_page(new_profile(service_workers="block"), static_site)
    assert not page.evaluate("() => crossOriginIsolated")
    expect(label(page)).to_have_text("WebAssembly, 1 thread")
    make(page)


def test_after_the_first_visit_it_works_without_a_network(context, page, built, make):
    make(page, "piano")  # by then the runtime is kept, too
    page.wait_for_function("() => navigator.serviceWorker.controller !== null")
    page.reload()
    page.wait_for_selector("#make:enabled")
    make(page, "piano")
    (runtime,) = (built / "assets").glob("ort-wasm-simd-threaded-*.wasm")
    from_browser = page.evaluate(f"() => fetch('assets/{runtime.name}').then((r) => r.url)")
    assert from_browser.endswith(runtime.name), "an answer of the service worker's own has no URL"
    context.set_offline(True)
    page.reload()
    page.wait_for_selector("#make:enabled")
    make(page, "organ")
    context.set_offline(False)


def test_a_runtime_that_does_not_fit_the_cache_runs_all_the_same(context, page, make):
    page.wait_for_function("() => navigator.serviceWorker.controller !== null")
    [worker] = context.service_workers
    worker.evaluate("() => { Cache.prototype.put = () => Promise.reject(new Error('full')); }")
    make(page)


def test_no_request_leaves_for_another_origin(context, open_page, site, make):
    asked: set[str] = set()
    context.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
    page = open_page(context, site.entrance)
    make(page)
    page.click("#link")
    page.click("#model")
    assert asked - {""} == {urlsplit(site.url).netloc}


def test_the_policy_keeps_the_page_from_asking_another_origin(page):
    ask = "() => fetch('https://example.org/').then(() => 'asked', (error) => error.message)"
    assert page.evaluate(ask) != "asked"
    note = "() => addEventListener('securitypolicyviolation', (event) => (window.seen = event))"
    page.evaluate(note)
    page.evaluate(ask)
    page.wait_for_function("() => window.seen")  # it may follow the refusal
    assert page.evaluate("() => window.seen.effectiveDirective") == "connect-src"


def text_workers(page):
    return [worker for worker in page.workers if "text.worker" in worker.url]


def test_one_worker_reads_the_prompts_of_a_small_model(page, make):
    make(page, "piano")
    workers = text_workers(page)
    make(page, "organ")
    assert text_workers(page) == workers and len(workers) == 1


def test_memory_is_given_back_and_taken_again(page, make):
    make(page)
    [worker] = text_workers(page)
    page.click("#model")
    with worker.expect_event("close"):
        page.get_by_role("button", name="Free memory: toy").click()
    expect(page.get_by_role("button", name="Free memory: toy")).to_be_hidden()
    page.keyboard.press("Escape")
    make(page)
