"""Passes one request on to a server, and to another one if the first fails before the client has any of its answer."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.responses import JSONResponse, Response

from dolly.serve.clients import ClientGone, unless_gone
from dolly.serve.errors import Refusal
from dolly.serve.router.headers import Headers, for_client
from dolly.serve.router.metrics import Metrics
from dolly.serve.router.workers import Worker, Workers

# Servers that are asked for one answer: a request that ends each server that it comes to does not end all of them.
TRIES = 3
_BUSY = (429, 503)


@dataclass(frozen=True)
class Asked:
    """A request of a client.

    Args:
        path: of the route.
        headers: for the server.
        body: JSON, as the client sent it.
        model: that it names; None for the default.
        id: of the request.
    """

    path: str
    headers: Headers
    body: bytes
    model: str | None
    id: str


@dataclass(frozen=True)
class Whole:
    """A response that is no stream."""

    status: int
    headers: Headers
    body: bytes

    @property
    def elsewhere(self) -> bool:
        """May another server do better? Not if the answer has taken its whole time already."""
        return self.status in _BUSY and b'"code":"timeout"' not in self.body


class Forward(Response):
    """The response to a request: that of a server; asks for it once the connection is given to it.

    Args:
        asked: the request.
        workers: the servers.
        client: sends to them.
        metrics: count the request.
    """

    def __init__(self, asked: Asked, workers: Workers, client: httpx.AsyncClient, metrics: Metrics) -> None:
        super().__init__()
        self._asked, self._workers, self._client, self._metrics = asked, workers, client, metrics
        self._outcome = "cancelled"  # until there is another

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers; ends the request at the server as soon as the client has gone."""
        try:
            with suppress(ClientGone, OSError):
                await unless_gone(receive, self._answer(scope, receive, send))
        finally:
            self._metrics.requests.labels(self._outcome).inc()

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            whole = await self._first_that_can(send)
        except Refusal as refusal:
            headers = refusal.headers | {"x-request-id": self._asked.id}
            self._outcome = str(refusal.status)
            await JSONResponse(refusal.body, refusal.status, headers=headers)(scope, receive, send)
            return
        if whole is not None:
            self._outcome = str(whole.status)
            await _start(send, whole.status, [*whole.headers, ("content-length", str(len(whole.body)))])
            await send({"type": "http.response.body", "body": whole.body})

    async def _first_that_can(self, send: Any) -> Whole | None:
        """The response of the first server that can answer; None if it was a stream, which is passed on already.

        Raises:
            Refusal: there is no such server.
        """
        tried: list[str] = []
        whole: Whole | None = None
        failure = ""
        while len(tried) < TRIES and (worker := self._workers.choose(self._asked.model, without=tried)):
            if tried:
                self._metrics.resent.labels(failure).inc()
            tried.append(worker.url)
            try:
                with worker.busy():
                    whole = await self._ask(worker, send)
            except httpx.ReadTimeout:
                raise Refusal(503, "the server behind this router has not answered in time", code="timeout") from None
            except httpx.TransportError:
                self._workers.lose(worker)
                failure = "connection"
                continue
            if whole is None or not whole.elsewhere:
                return whole
            failure = str(whole.status)
        if whole is not None:  # all are busy; the last one says for how long
            return whole
        self._workers.require_known(self._asked.model)
        model = f"the model {self._asked.model}" if self._asked.model else "a model"
        raise Refusal(503, f"no server with {model} can be reached now; try again", retry_after=2)

    async def _ask(self, worker: Worker, send: Any) -> Whole | None:
        """The response of a server; None if it was a stream, which is passed on.

        Raises:
            httpx.TransportError: the connection failed before anything was passed on.
        """
        asked = self._asked
        request = self._client.stream("POST", f"{worker.url}{asked.path}", content=asked.body, headers=asked.headers)
        async with request as response:
            headers = for_client(response.headers.multi_items(), request=asked.id)
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                return Whole(response.status_code, headers, await response.aread())
            async with aclosing(_whole_events(response.aiter_raw())) as events:
                first = await anext(events, b"")  # until here, another server can answer
                await _start(send, response.status_code, headers)
                await send({"type": "http.response.body", "body": first, "more_body": True})
                last = await self._rest(worker, events, send)
        self._outcome = "broken" if last else str(response.status_code)
        await send({"type": "http.response.body", "body": last})
        return None

    async def _rest(self, worker: Worker, events: AsyncGenerator[bytes], send: Any) -> bytes:
        """Passes the rest of a stream on; returns its last event, an error, if it breaks."""
        try:
            async for part in events:
                await send({"type": "http.response.body", "body": part, "more_body": True})
        except httpx.TransportError:
            self._workers.lose(worker)
            broken = Refusal(503, "the server behind this router failed in the middle of the answer; try again")
            return f"data: {json.dumps(broken.body)}\n\n".encode()
        return b""


async def _start(send: Any, status: int, headers: Headers) -> None:
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": encoded})


async def _whole_events(parts: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """The same bytes; never a part of an event, which a broken connection would leave at the end."""
    rest = b""
    async for part in parts:
        rest += part
        end = rest.rfind(b"\n\n") + 2
        if end > 1:
            yield rest[:end]
            rest = rest[end:]
    if rest:
        yield rest
