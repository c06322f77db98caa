"""A server behind a router: registers there, answers only the router, and leaves before it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI
from starlette.responses import JSONResponse

from dolly.serve.errors import Refusal
from dolly.serve.guard import OPEN
from dolly.serve.router.app import REGISTER
from dolly.serve.router.headers import CLIENT, OWNER, unquoted
from dolly.serve.router.secret import bearer, has_secret

_log = logging.getLogger(__name__)
_AGAIN = 0.5  # seconds, after the router could not be reached or refused


class Member:
    """A server's registration at a router.

    Args:
        router: its address.
        secret: that the router has too.
        url: where the router reaches this server.
        say: what the server offers and how busy it is, see `Announcement`.
        seconds: between two heartbeats, until the router has said how many.
    """

    def __init__(
        self, *, router: str, secret: str, url: str, say: Callable[[], dict[str, Any]], seconds: float
    ) -> None:
        self._address, self._url = f"{router.rstrip('/')}{REGISTER}", url
        self._secret, self._say, self._seconds = secret, say, seconds
        self._state: str | None = None
        self._beat: asyncio.Future[None] | None = None

    @asynccontextmanager
    async def registered(self) -> AsyncGenerator[None]:
        """Sends heartbeats while the block runs."""
        self._beat = asyncio.ensure_future(self._keep())
        try:
            yield
        finally:
            self._beat.cancel()

    async def leave(self) -> None:
        """Gets no requests any more."""
        if self._beat:
            self._beat.cancel()
            await asyncio.gather(self._beat, return_exceptions=True)
        with contextlib.suppress(httpx.HTTPError):  # a router that is away notices by itself
            async with self._client() as client:
                await client.delete(self._address, params={"url": self._url}, timeout=2)

    async def _keep(self) -> None:
        async with self._client() as client:
            while True:
                state = await self._register(client)
                if state != self._state:
                    self._state = state
                    _log.warning("router %s: %s", self._address, state)
                await asyncio.sleep(self._seconds if state == "registered" else min(_AGAIN, self._seconds))

    async def _register(self, client: httpx.AsyncClient) -> str:
        try:
            response = await client.post(self._address, json={"url": self._url, **self._say()})
            body = response.json()
            if response.status_code == 200:
                self._seconds = float(body["heartbeat_seconds"])
                return "registered"
            return f"refused this server: {body['error']['message']}"
        except httpx.HTTPError as error:
            return f"can't be reached ({type(error).__name__})"
        except (ValueError, KeyError, TypeError):
            return "answered otherwise than a router"

    def _client(self) -> httpx.AsyncClient:
        context = ssl.create_default_context()  # with the authorities of SSL_CERT_FILE
        return httpx.AsyncClient(headers=bearer(self._secret), timeout=5, verify=context, trust_env=False)


class FromRouter:
    """ASGI middleware that refuses requests that do not come from the router, which has checked key and rate.

    Args:
        app: what is guarded.
        secret: of the router.
    """

    def __init__(self, app: Any, *, secret: str) -> None:
        self._app, self._secret = app, secret

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            if not has_secret(headers.get("authorization"), self._secret):
                refusal = Refusal(401, "this server answers its router only; send the request there")
                await JSONResponse(refusal.body, refusal.status, headers=refusal.headers)(scope, receive, send)
                return
            scope.setdefault("state", {})["owner"] = unquoted(headers.get(OWNER))
            scope["client"] = (unquoted(headers.get(CLIENT)) or "", 0)
        await self._app(scope, receive, send)


def join(app: FastAPI, *, router: str, secret: str, url: str, seconds: float) -> None:
    """Puts a server behind a router.

    Args:
        app: from `make_app`, without keys.
        router: its address.
        secret: that the router has too.
        url: where the router reaches this server.
        seconds: between two heartbeats.
    """
    member = Member(router=router, secret=secret, url=url, say=app.state.api.announcement, seconds=seconds)
    app.add_middleware(FromRouter, secret=secret)
    beside, drain = app.router.lifespan_context, app.state.end

    @asynccontextmanager
    async def lifespan(running: FastAPI) -> AsyncGenerator[Any]:
        async with beside(running) as state, member.registered():
            yield state

    async def end(seconds: float) -> None:
        await member.leave()
        await drain(seconds)

    app.router.lifespan_context, app.state.end = lifespan, end
