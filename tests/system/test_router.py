"""`dolly route` before two `dolly serve`: one is killed under load and returns, the alias moves under load.

The servers are real but for their engines, see `scripted_server`.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from dolly.prompts import Prompt
from dolly.serve.router.app import REGISTER
from dolly.serve.router.secret import VARIABLE, bearer
from tests.serve.registered import move_champion, register, serving_config, write_model
from tests.system.server import Server, answers_http, running

pytestmark = [pytest.mark.model, pytest.mark.slow]
SECRET = "a-secret-of-the-system-tests"
CLIENTS = 12


@dataclass
class House:
    """A router with two servers, and the two registered versions."""

    router: Server
    servers: list[Server]
    home: Path
    versions: list[str]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.router.port}"

    def there(self) -> int:
        return int(httpx.get(f"{self.address}/health", trust_env=False).json()["servers"])


@dataclass
class Load:
    """What became of the requests of several clients, which go on until the block ends."""

    whole: list[str] = field(default_factory=list)
    streams: list[tuple[str, int]] = field(default_factory=list)  # outcome, events before it
    versions: list[str] = field(default_factory=list)


@contextmanager
def load(address: str) -> Iterator[Load]:
    seen, stop = Load(), threading.Event()
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(_client, address, number, seen, stop) for number in range(CLIENTS)]
        try:
            yield seen
        finally:
            stop.set()
    for client in clients:
        client.result()


def _client(address: str, number: int, seen: Load, stop: threading.Event) -> None:
    with httpx.Client(base_url=address, timeout=30, trust_env=False) as http:
        while not stop.is_set():
            number += CLIENTS
            request = {
                "messages": [{"role": "user", "content": f"Question {number}?"}],
                "max_tokens": 40,
                "temperature": 1.0,
                "seed": number,
            }
            (_stream if number % 2 else _whole)(http, request, seen)


def _whole(http: httpx.Client, request: dict[str, Any], seen: Load) -> None:
    response = http.post("/v1/chat/completions", json=request)
    seen.whole.append("answered" if response.status_code == 200 else response.text)
    if response.status_code == 200:
        seen.versions.append(_version(response.json()))


def _stream(http: httpx.Client, request: dict[str, Any], seen: Load) -> None:
    with http.stream("POST", "/v1/chat/completions", json=request | {"stream": True}) as response:
        events = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    last = events[-1]
    if response.status_code == 200 and last == "[DONE]":
        seen.versions.append(_version(json.loads(events[0])))
    outcome = "answered" if last == "[DONE]" else "broken" if "in the middle" in last else last
    seen.streams.append((outcome, len(events) - 1))


def _version(body: dict[str, Any]) -> str:
    return str(body["system_fingerprint"]).removeprefix("version ").partition(",")[0]


def eventually(true: Callable[[], Any], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module")
def house(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("router")
    versions = []
    for seed in (1, 2):
        write_model(folder / f"weights{seed}", tiny_base, prompt=Prompt("chatml"), seed=seed)
        versions.append(register(folder / "home", folder / f"weights{seed}"))
    move_champion(folder / "home", versions[0])
    router_settings = {"heartbeat_seconds": 0.5}
    settings: dict[str, Any] = {"refresh_seconds": 1.0, "router": router_settings}
    config = serving_config(folder / "home", folder / "tiny.yaml", **settings)
    environment = {VARIABLE: SECRET, "PYTHONPATH": str(Path(__file__).parents[2])}

    def dolly(module: str, command: str, *overrides: str) -> list[str]:
        return [sys.executable, "-m", module, command, str(config), *overrides]

    router = Server(
        lambda port: dolly("dolly.cli", "route", f"serve.router.port={port}"),
        ready=answers_http("/health"),
        log=folder / "router.log",
        environment=environment,
    )
    with ExitStack() as stack:
        stack.enter_context(running(router))
        url = f"serve.router.url=http://127.0.0.1:{router.port}"
        servers = [
            Server(
                lambda port: dolly("tests.system.scripted_server", "serve", f"serve.port={port}", url),
                ready=answers_http("/health"),
                log=folder / f"server{number}.log",
                environment=environment,
            )
            for number in range(2)
        ]
        # A server ends with the thread that started it: the threads last as long as the fixture.
        pool = stack.enter_context(ThreadPoolExecutor(2))
        for server in servers:
            stack.callback(server.stop)
        list(pool.map(Server.start, servers))
        made = House(router, servers, folder / "home", versions)
        eventually(lambda: made.there() == 2, 10)
        yield made


def test_a_wrong_secret_is_refused(house: House) -> None:
    said = {"url": house.address, "models": [], "running": 0, "waiting": 0, "places": 1}
    response = httpx.post(f"{house.address}{REGISTER}", json=said, headers=bearer("wrong" * 4), trust_env=False)
    assert response.status_code == 401
    assert house.there() == 2
    direct = f"http://127.0.0.1:{house.servers[0].port}/v1/models"
    assert httpx.get(direct, trust_env=False).status_code == 401
    assert SECRET not in "".join(server.log.read_text() for server in (house.router, *house.servers))


def test_a_kill_under_load_loses_no_request_that_had_not_begun_to_stream(house: House) -> None:
    with load(house.address) as seen:
        eventually(lambda: len(seen.whole) > 24 and len(seen.streams) > 24, 20)
        house.servers[0].kill()
        eventually(lambda: house.there() == 1, 5)
        before = len(seen.whole)
        eventually(lambda: len(seen.whole) > before + 24, 20)
    assert set(seen.whole) == {"answered"}
    assert {outcome for outcome, _ in seen.streams} <= {"answered", "broken"}
    assert all(events >= 1 for outcome, events in seen.streams if outcome == "broken")
    assert sum(outcome == "broken" for outcome, _ in seen.streams) <= CLIENTS
    resent = [line for line in _metrics(house) if line.startswith('dolly_router_resent_total{reason="connection"}')]
    assert resent, "the kill met no request that had not begun to stream"
    print(len(seen.whole), "whole,", len(seen.streams), "streams;", *resent)
    house.servers[0].start()
    eventually(lambda: house.there() == 2, 10)
    with load(house.address):
        address = f"http://127.0.0.1:{house.servers[0].port}/metrics"
        eventually(lambda: "answered" in httpx.get(address, headers=bearer(SECRET), trust_env=False).text, 10)


def test_an_alias_moves_under_load_without_a_failure(house: House) -> None:
    old, new = house.versions
    with load(house.address) as seen:
        eventually(lambda: old in seen.versions, 10)
        move_champion(house.home, new)
        eventually(lambda: seen.versions[-20:].count(new) == 20, 40)
        for server in house.servers:
            eventually(lambda server=server: _served(server) == new, 20)
    assert set(seen.whole) == {"answered"}
    assert {outcome for outcome, _ in seen.streams} == {"answered"}
    assert set(seen.versions) == {old, new}
    print(len(seen.whole), "whole,", len(seen.streams), "streams, 0 failures")


def test_the_router_ends_with_its_running_requests(house: House) -> None:
    with ThreadPoolExecutor(1) as pool, httpx.Client(base_url=house.address, timeout=30, trust_env=False) as http:
        seen = Load()
        request = {"messages": [{"role": "user", "content": "Tell"}], "max_tokens": 200, "temperature": 1.0, "n": 8}
        running = pool.submit(_stream, http, request, seen)
        metric = "dolly_router_running_requests"
        eventually(lambda: any(line.startswith(metric) and line.endswith(" 1.0") for line in _metrics(house)), 10)
        started = time.monotonic()
        house.router.stop()
        running.result()
    assert time.monotonic() - started < 12
    assert [outcome for outcome, _ in seen.streams] == ["answered"]


def _metrics(house: House) -> list[str]:
    return httpx.get(f"{house.address}/metrics", trust_env=False).text.splitlines()


def _served(server: Server) -> str:
    models = httpx.get(f"http://127.0.0.1:{server.port}/v1/models", headers=bearer(SECRET), trust_env=False).json()
    return str(models["data"][0]["version"])
