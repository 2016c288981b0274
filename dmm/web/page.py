"""The player's page, built once from its sources by Vite and kept in the cache."""

import hashlib
import os
import re
import sys
import time
from contextlib import suppress
from pathlib import Path

from ..checkpoints.tokenizers import cache_root
from ..engine import ROOT
from ..files import read_bytes, read_json, read_text, whole_folder
from ..files.parts import new_part_path, remove_part
from .node import run_npm

SOURCES = ROOT / "player"
TOKENS = ROOT / "dmm" / "ui" / "static" / "tokens.css"
"""Colours that the player shares with ``dmm ui``."""
BUILT_FROM = (
    "index.html", "package.json", "package-lock.json", "vite.config.ts", "src/**/*", "public/**/*",
)  # fmt: skip
UNUSED_S = 7 * 24 * 3600.0
"""Age of a page's last use from which it is removed: a younger one may be served right now."""
POLICY = re.compile(r'http-equiv="content-security-policy" content="([^"]+)"')
DOWNLOADING = re.compile(r"/assets/download\.worker-[^/]+\.js")
"""The worker that fetches models, also from addresses on other sites that the user names."""


def built_page() -> Path:
    """The folder of the page in the cache; builds it first if its sources have changed.

    DmmError, in one line, if it must be built and Node.js is missing or the build fails.
    """
    folder = cache_root() / f"player-{sources_digest()[:16]}"
    if not folder.is_dir():
        with whole_folder(folder) as part:
            _build(part)
        _remove_unused_pages(folder.parent)
    with suppress(OSError):  # a cache that is only read
        os.utime(folder)
    return folder


def _remove_unused_pages(cache: Path) -> None:
    """Remove pages of other sources from the cache that no command has asked for in ``UNUSED_S``.

    Those being built have hidden names. A page is renamed to such a name first, so that one which
    is removed in part is never taken for a whole one.
    """
    for page in cache.glob("player-*"):
        with suppress(OSError):
            if time.time() - page.stat().st_mtime > UNUSED_S:
                page.rename(removed := new_part_path(page))
                remove_part(removed)


def sources_digest() -> str:
    """SHA-256 of all that the page is built from, in hexadecimal."""
    found = {path for pattern in BUILT_FROM for path in SOURCES.glob(pattern) if path.is_file()}
    digest = hashlib.sha256()
    for path in (*sorted(found), TOKENS):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + read_bytes(path))
    return digest.hexdigest()


def _build(out: Path) -> None:
    if not _has_packages():
        print("building the page: fetching its parts from npm, once ...", file=sys.stderr)
        run_npm(["ci", "--omit=dev", "--ignore-scripts"], SOURCES)
    print("building the page ...", file=sys.stderr)
    run_npm(["run", "build", "--", "--outDir", str(out), "--emptyOutDir"], SOURCES)


def _has_packages() -> bool:
    """Whether the packages that ``package-lock.json`` names are installed.

    npm lists what it has installed at the end, so an interrupted installation has no list. Packages
    of the tests and of other machines need not be there.
    """
    listed = SOURCES / "node_modules" / ".package-lock.json"
    if not listed.is_file():
        return False
    installed = read_json(listed)["packages"]
    needed = read_json(SOURCES / "package-lock.json")["packages"]
    return all(
        installed.get(name, {}).get("integrity") == package["integrity"]
        for name, package in needed.items()
        if name and not package.keys() & {"dev", "optional", "devOptional"}
    )


def page_policy(page: Path) -> str:
    """The content security policy in the page's own ``index.html``."""
    found = POLICY.search(read_text(page / "index.html"))
    assert found, "the player's index.html states a content security policy"
    return found[1]


def page_headers(policy: str, path: str) -> dict[str, str]:
    """Headers of the response for ``path``: cross-origin isolation for threads, and the policy.

    The page and its workers may connect to this server only. The worker that fetches models may
    also connect to other sites, which the user names.
    """
    own = f"{policy}; frame-ancestors 'none'"
    if DOWNLOADING.fullmatch(path):
        own = own.replace("connect-src 'self'", "connect-src 'self' https:")
    return {"content-security-policy": own, "cross-origin-embedder-policy": "require-corp"}
