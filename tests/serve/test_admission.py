"""Places for requests: in order, refused at once beyond the limit, given back whatever happens."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dolly.serve.admission import Admission
from dolly.serve.errors import Refusal


async def hold(admission: Admission, go: asyncio.Event, log: list[Any], name: Any, count: int = 1) -> None:
    async with admission.places(count):
        log.append(name)
        await go.wait()


def test_requests_get_places_in_their_order_and_the_rest_is_refused() -> None:
    async def scenario() -> None:
        admission, go, log = Admission(running=2, waiting=3, seconds=5), asyncio.Event(), []
        tasks = [asyncio.create_task(hold(admission, go, log, n)) for n in range(5)]
        await asyncio.sleep(0)
        assert (log, admission.waiting, admission.in_use) == ([0, 1], 3, 2)
        with pytest.raises(Refusal) as refused:
            await hold(admission, go, log, "late")
        assert refused.value.status == 429
        assert int(refused.value.headers["Retry-After"]) >= 1
        go.set()
        await asyncio.gather(*tasks)
        assert log == [0, 1, 2, 3, 4]
        assert (admission.waiting, admission.in_use) == (0, 0)

    asyncio.run(scenario())


def test_a_wait_ends_after_its_time() -> None:
    async def scenario() -> None:
        admission, go, log = Admission(running=1, waiting=3, seconds=0.05), asyncio.Event(), []
        first = asyncio.create_task(hold(admission, go, log, 0))
        await asyncio.sleep(0)
        with pytest.raises(Refusal, match=r"waited for 0.05 seconds") as refused:
            await hold(admission, go, log, 1)
        assert refused.value.status == 503
        go.set()
        await first
        await hold(admission, go, log, 2)
        assert (log, admission.in_use) == ([0, 2], 0)

    asyncio.run(scenario())


def test_places_of_cancelled_requests_are_free_again() -> None:
    async def scenario() -> None:
        admission, go, log = Admission(running=2, waiting=9, seconds=5), asyncio.Event(), []
        tasks = [asyncio.create_task(hold(admission, go, log, n, count=2)) for n in range(4)]
        await asyncio.sleep(0)
        tasks[1].cancel()  # waits
        tasks[0].cancel()  # runs; its places go to the next one, which is cancelled in the same moment
        tasks[2].cancel()
        await asyncio.sleep(0.01)
        assert log == [0, 3]
        go.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (admission.waiting, admission.in_use) == (0, 0)

    asyncio.run(scenario())


def test_a_server_that_ends_refuses_who_waits_and_who_comes() -> None:
    async def scenario() -> None:
        admission, go, log = Admission(running=1, waiting=3, seconds=5), asyncio.Event(), []
        running, waiting = (asyncio.create_task(hold(admission, go, log, n)) for n in range(2))
        await asyncio.sleep(0)
        admission.drain(5)
        for late in (waiting, asyncio.create_task(hold(admission, go, log, 2))):
            with pytest.raises(Refusal, match="the server ends"):
                await late
        go.set()
        await running
        assert log == [0]

    asyncio.run(scenario())
