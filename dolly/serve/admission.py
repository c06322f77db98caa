"""How many requests are generated at once, and how many wait: what comes beyond is refused at once."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dolly.serve.errors import Refusal

_RETRY = 60  # the longest Retry-After, in seconds


class Admission:
    """Places for requests, given in the order in which they came.

    Args:
        running: number of answers that are generated at once.
        waiting: number of requests that may wait for a place.
        seconds: the longest wait.
    """

    def __init__(self, *, running: int, waiting: int, seconds: float) -> None:
        self.running, self._limit, self._seconds = running, waiting, seconds
        self._free = running
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._draining = False
        self.last_moment = math.inf  # of the monotonic clock: answers that have not ended by then are cut
        self._answer_seconds = 1.0  # a running mean

    @property
    def waiting(self) -> int:
        """Number of requests that wait."""
        return len(self._queue)

    @property
    def in_use(self) -> int:
        """Number of places that are taken."""
        return self.running - self._free

    @asynccontextmanager
    async def places(self, count: int) -> AsyncIterator[None]:
        """Holds places for the answers of one request; waits for them.

        Raises:
            Refusal: too many requests wait already, the wait was too long, or the server ends.
        """
        count = min(count, self.running)
        await self._take(count)
        started = time.monotonic()
        try:
            yield
        finally:
            self._answer_seconds += 0.1 * (time.monotonic() - started - self._answer_seconds)
            self._free += count
            self._give()

    def drain(self, seconds: float) -> None:
        """Refuses requests that wait and those that come; the ones with places have some seconds to end."""
        self._draining = True
        self.last_moment = time.monotonic() + seconds
        for _, place in self._queue:
            if not place.done():
                place.set_exception(self.ends())

    async def _take(self, count: int) -> None:
        if self._draining:
            raise self.ends()
        if not self._queue and self._free >= count:
            self._free -= count
            return
        if len(self._queue) >= self._limit:
            raise Refusal(429, f"{len(self._queue)} requests wait already; try later", retry_after=self._retry_after())
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (count, place)
        self._queue.append(entry)
        try:
            async with asyncio.timeout(self._seconds):
                await place
        except BaseException as error:
            if entry in self._queue:
                self._queue.remove(entry)
            elif place.done() and not place.cancelled() and place.exception() is None:  # given while it was cancelled
                self._free += count
            self._give()
            if isinstance(error, TimeoutError):
                text = f"the request has waited for {self._seconds:g} seconds; try later"
                raise Refusal(503, text, retry_after=self._retry_after()) from None
            raise

    def _give(self) -> None:
        while self._queue and self._free >= self._queue[0][0]:
            count, place = self._queue.popleft()
            if not place.done():
                self._free -= count
                place.set_result(None)

    def _retry_after(self) -> int:
        turns = (len(self._queue) + 1) / self.running
        return min(_RETRY, max(1, math.ceil(turns * self._answer_seconds)))

    def ends(self) -> Refusal:
        """The refusal of a server that ends."""
        return Refusal(503, "the server ends; try again", retry_after=1)
