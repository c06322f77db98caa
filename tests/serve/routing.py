"""A router on a real socket, and servers that join it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from dolly.serve.router.app import REGISTER, make_router
from dolly.serve.router.member import join
from dolly.serve.router.secret import bearer
from dolly.serve.server import bind, serving

SECRET = "a-secret-of-the-tests"
CHAT = "/v1/chat/completions"
HELLO = {"messages": [{"role": "user", "content": "Which gate?"}]}
HEARTBEAT = 0.1


@contextmanager
def routing(**settings: Any) -> Iterator[httpx.Client]:
    """A router; yields a client of it."""
    app = make_router(SECRET, **{"heartbeat_seconds": HEARTBEAT} | settings)
    with serving(app, bind("127.0.0.1", 0)) as address, httpx.Client(base_url=address, trust_env=False) as client:
        yield client


@contextmanager
def behind(router: httpx.Client, app: Any, *, secret: str = SECRET) -> Iterator[str]:
    """A server that joins the router; yields its address."""
    listener = bind("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    join(app, router=str(router.base_url), secret=secret, url=url, seconds=HEARTBEAT)
    with serving(app, listener):
        yield url


def eventually(true: Callable[[], Any], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def servers(router: httpx.Client) -> int:
    return int(router.get("/health").json()["servers"])


def counted(router: httpx.Client, name: str) -> float:
    lines = [line for line in router.get("/metrics").text.splitlines() if line.startswith(name)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def announce(router: httpx.Client, url: str, alias: str = "gone") -> None:
    model = {"id": "m", "alias": alias}
    said = {"url": url, "models": [model], "running": 0, "waiting": 0, "places": 100}
    response = router.post(REGISTER, json=said, headers=bearer(SECRET))
    assert response.status_code == 200, response.text
