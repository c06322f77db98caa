"""Who may use the server, and how often: in front of all routes but a load balancer's and the chat page's files."""

from __future__ import annotations

import math
import time
from collections.abc import Collection
from typing import Any

from starlette.responses import JSONResponse

from dolly.serve.errors import Refusal
from dolly.serve.keys import KeyFile
from dolly.serve.page import MEDIA

# A load balancer asks the first two without a key; the page asks its user for one.
OPEN = ("/health", "/ready", *MEDIA)
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class Guard:
    """ASGI middleware that refuses requests without a valid key, and those beyond the rate.

    Without any keys, a server on loopback answers everyone on its machine. It then refuses other host names than
    loopback's: a page in a browser could otherwise reach it by a name that is made to point at 127.0.0.1.

    Args:
        app: what is guarded.
        keys: who may use it.
        per_minute: requests of one key, or without keys of one address; 0 for no limit.
        open_paths: that need no key.
    """

    def __init__(self, app: Any, *, keys: KeyFile, per_minute: int = 0, open_paths: Collection[str] = OPEN) -> None:
        self._app, self._keys, self._open = app, keys, open_paths
        self._rate = Rate(per_minute) if per_minute else None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] not in self._open:
            try:
                self._check(scope)
            except Refusal as refusal:
                response = JSONResponse(refusal.body, refusal.status, headers=refusal.headers)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Any) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        owner = self._keys.owner(headers.get("authorization"))
        if owner is None and _name(headers.get("host", "")) not in _LOOPBACK:
            raise Refusal(403, f"found the host name {headers.get('host', '')!r}; expected 127.0.0.1 or localhost")
        scope.setdefault("state", {})["owner"] = owner
        if self._rate:
            self._rate.take(owner or (scope.get("client") or ("",))[0])


class Rate:
    """Requests a minute of each caller; a minute's requests may come at once.

    Args:
        per_minute: number of requests.
    """

    def __init__(self, per_minute: int) -> None:
        self._limit = per_minute
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, caller: str) -> None:
        """Counts a request.

        Raises:
            Refusal: the caller has made too many.
        """
        now = time.monotonic()
        left, then = self._left.get(caller, (float(self._limit), now))
        left = min(self._limit, left + (now - then) * self._limit / 60)
        if left < 1:
            seconds = math.ceil((1 - left) * 60 / self._limit)
            raise Refusal(429, f"found more than {self._limit} requests a minute", retry_after=seconds)
        if len(self._left) > 10_000:  # those who have been away for a minute have all their requests again
            self._left = {name: entry for name, entry in self._left.items() if now - entry[1] < 60}
        self._left[caller] = (left - 1, now)


def _name(host: str) -> str:
    """The host name of a `Host` header, without the port."""
    if host.startswith("["):
        return host[1:].split("]")[0]
    return host.split(":")[0].lower()
