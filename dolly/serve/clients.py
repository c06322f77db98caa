"""Ends the work for a client that has gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from typing import Any, TypeVar

from fastapi.responses import StreamingResponse

T = TypeVar("T")


class ClientGone(Exception):
    """The client closed its connection before it had its answer."""


async def unless_gone(receive: Any, work: Awaitable[T]) -> T:
    """Returns what the work returns; cancels it as soon as the client has gone.

    Args:
        receive: of the ASGI connection; the request's body must have been read.
        work: makes the answer.

    Raises:
        ClientGone: the client left first.
    """
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGone
        return task.result()
    finally:
        for each in (task, gone):
            each.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class EventStream(StreamingResponse):
    """Server-sent events; closes their generator as soon as the client has gone, also while nothing is sent.

    Args:
        events: what is sent.
        source: the generator that `events` reads; closed too, as one that was never begun does not close what it reads.
    """

    def __init__(self, events: AsyncGenerator[str], source: AsyncGenerator[Any]) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        self._generators = (events, source)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await unless_gone(receive, self.stream_response(send))
        except (ClientGone, OSError):
            pass
        finally:
            for generator in self._generators:
                await generator.aclose()
