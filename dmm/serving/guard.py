"""Access control of our pages: only this machine's browser, with the address that was printed.

Any site in a browser can send requests to the loopback, and its host name may resolve to 127.0.0.1
(DNS rebinding). So a request must name this address as its host, must not come from another origin,
and must carry the token of the printed address, which also excludes other users of the machine.
"""

import secrets
from collections.abc import Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = "127.0.0.1"
MAX_BODY = 1 << 20
"""Largest request body in bytes; the longest timeline takes a hundredth of it."""
SAFE_METHODS = ("GET", "HEAD")
HEADERS = {
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""Headers of every response, beside the page's own: no site may embed it."""
PageHeaders = Callable[[str], Mapping[str, str]]
"""A page's own headers for a path: its content security policy and what else it needs."""


class Guard:
    """ASGI middleware that refuses all requests but the page's own."""

    def __init__(
        self, app: ASGIApp, port: int, token: str, command: str, page_headers: PageHeaders
    ) -> None:
        self.app, self.token, self.command, self.page_headers = app, token, command, page_headers
        self.hosts = {f"{name}:{port}" for name in (LOOPBACK, "localhost")}
        self.cookie = f"dmm-{port}"  # browsers share cookies between the ports of a host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond with 403, or pass the request on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # a websocket is closed without a response
        key = self._key(scope)
        reason = self._refusal(scope, key)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update({**HEADERS, **self.page_headers(scope["path"])})
                headers.setdefault("cache-control", "no-store")
                if key and not reason:
                    cookie = f"{self.cookie}={self.token}; HttpOnly; SameSite=Strict; Path=/"
                    headers.append("set-cookie", cookie)
            await send(message)

        answer = PlainTextResponse(reason, 403) if reason else self.app
        await answer(scope, receive, guarded)

    def _key(self, scope: Scope) -> str | None:
        """The token in the address, if the request is for the page itself."""
        if scope["path"] != "/":
            return None
        return parse_qs(scope["query_string"].decode("latin-1")).get("token", [None])[0]

    def _refusal(self, scope: Scope, key: str | None) -> str | None:
        """The reason to refuse a request; None accepts it."""
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if host not in self.hosts:
            return f"not served under the name {host!r}"
        changes = scope["method"] not in SAFE_METHODS
        is_foreign = (changes or origin is not None) and origin != f"http://{host}"
        if is_foreign or not _is_own_or_typed(headers, scope["path"]):
            return "not for another site"
        if changes and not _is_small(headers):
            return f"a request is {MAX_BODY} bytes at most and says its length"
        given = key or _cookie(headers, self.cookie)
        if not secrets.compare_digest(given.encode(), self.token.encode()):
            return f"open the address that {self.command} printed: it holds the key to this page"
        return None


def _is_own_or_typed(headers: Mapping[str, str], path: str) -> bool:
    """Whether the page sent the request or a user opened it, if only by a link on another site."""
    site = headers.get("sec-fetch-site", "none")
    is_opened = headers.get("sec-fetch-mode") == "navigate" and path == "/"
    return site in ("same-origin", "none") or is_opened


def _is_small(headers: Mapping[str, str]) -> bool:
    length = headers.get("content-length", "")
    is_chunked = "transfer-encoding" in headers  # its length would be unknown, whatever is stated
    return not is_chunked and length.isdecimal() and len(length) < 10 and int(length) <= MAX_BODY


def _cookie(headers: Mapping[str, str], name: str) -> str:
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return cookies[name].value if name in cookies else ""
