"""What `dolly serve` does under load: clients that leave, more clients than places, and the order to end.

python -m bench.serve_load [--seconds 60] [--leaving 200] [--model smollm2-135m-instruct]

The base model is registered as it is and served with the defaults. Then, one after the other:

1. Clients that leave at random moments, half of them in a stream; after them one normal request, and the memory of the
   server and its engine before and after.
2. 1, 4 and 16 times as many clients as there are places, each with one request at a time, half of them streamed; a
   client that is refused waits half a second. Meanwhile another process asks `/health` twenty times a second.
3. SIGTERM while all places are taken: how long the server takes to end, and whether the answers that ran are whole.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from bench import results
from tests.system.server import Server, answers_http, running

PLACES = 32  # serve.running, by default
_LEFT, _LOST = "left", "connection lost"
QUESTIONS = [f"Tell me what the {number} most important things about gardens are." for number in range(2, 40)]


def server(config: Path, log: Path, *settings: str) -> Server:
    """`dolly serve` on a free port."""
    command = [sys.executable, "-m", "dolly.cli", "serve", str(config), *settings]
    return Server(
        lambda port: [*command, f"serve.port={port}"],
        ready=answers_http("/ready"),
        log=log,
        environment={},
        seconds=400,
    )


class Client:
    """Asks for answers, one at a time.

    Args:
        http: the connections, shared by all clients.
        address: of the server.
        number: makes clients differ.
        tokens: maximum number of tokens of an answer.
    """

    def __init__(self, http: httpx.AsyncClient, address: str, number: int, *, tokens: int = 32) -> None:
        self._http, self._address, self._draw = http, f"{address}/v1/chat/completions", random.Random(number)
        self._tokens = tokens

    async def ask(self) -> str:
        """Asks once; returns the status, and `broken` for a stream that ended without its end."""
        body = self._body(stream=self._draw.random() < 0.5)
        try:
            if not body["stream"]:
                return str((await self._http.post(self._address, json=body)).status_code)
            async with self._http.stream("POST", self._address, json=body) as response:
                lines = [line async for line in response.aiter_lines() if line]
        except httpx.HTTPError:
            return _LOST
        if response.status_code == 200 and lines[-1:] != ["data: [DONE]"]:
            return "broken"
        return str(response.status_code)

    async def leave(self) -> str:
        """Asks and goes away at a random moment."""
        asking = asyncio.ensure_future(self.ask())
        done, _ = await asyncio.wait([asking], timeout=self._draw.uniform(0, 3))
        if done:
            return asking.result()
        asking.cancel()
        await asyncio.wait([asking])
        return _LEFT

    async def keep_asking(self, until: float) -> Counter[str]:
        """Asks until a time of the monotonic clock; waits half a second after a refusal."""
        seen: Counter[str] = Counter()
        while time.monotonic() < until:
            status = await self.ask()
            seen[status] += 1
            if status != "200":
                await asyncio.sleep(0.5)
        return seen

    def _body(self, *, stream: bool) -> dict[str, Any]:
        question = {"role": "user", "content": self._draw.choice(QUESTIONS)}
        return {"messages": [question], "max_tokens": self._tokens, "stream": stream}


def connections() -> httpx.AsyncClient:
    """Connections for any number of clients."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    return httpx.AsyncClient(timeout=600, trust_env=False, limits=limits)


async def leaving(address: str, count: int) -> Counter[str]:
    """Clients that leave at random moments, 64 at a time; what they saw before."""
    async with connections() as http:
        places = asyncio.Semaphore(64)

        async def one(number: int) -> str:
            async with places:
                return await Client(http, address, number, tokens=128).leave()

        return Counter(await asyncio.gather(*map(one, range(count))))


async def load(address: str, clients: int, seconds: float) -> Counter[str]:
    """Clients that ask one question after another; the statuses that they saw."""
    async with connections() as http:
        until = time.monotonic() + seconds
        each = [Client(http, address, number).keep_asking(until) for number in range(clients)]
        seen: Counter[str] = Counter()
        for counted in await asyncio.gather(*each):
            seen += counted
        return seen


async def ended_under_load(address: str, process: int, clients: int) -> tuple[Counter[str], float]:
    """Ends the server while clients wait for answers; what they saw, and the seconds until the server had ended."""
    async with connections() as http:
        asked = [asyncio.ensure_future(Client(http, address, n, tokens=64).ask()) for n in range(clients)]
        await asyncio.sleep(1.0)
        started = time.monotonic()
        os.kill(process, signal.SIGTERM)
        seen = Counter(await asyncio.gather(*asked))
        while _lives(process) and time.monotonic() < started + 60:
            await asyncio.sleep(0.05)
        return seen, time.monotonic() - started


def _lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def memory(process: int) -> float:
    """Resident memory of a process and those that it started, in MiB."""
    total, waiting = 0.0, [process]
    while waiting:
        number = waiting.pop()
        status = Path(f"/proc/{number}/status").read_text()
        total += int(status.partition("VmRSS:")[2].split()[0]) / 1024
        for children in Path(f"/proc/{number}/task").glob("*/children"):
            waiting += map(int, children.read_text().split())
    return total


@contextmanager
def health_watched(address: str) -> Iterator[list[float]]:
    """Asks `/health` from another process while the block runs; the times in seconds are there after it."""
    times: list[float] = []
    command = [sys.executable, "-m", "bench.serve_load", "--watch", address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]) as watcher:
        yield times
        watcher.send_signal(signal.SIGINT)
        printed, _ = watcher.communicate(timeout=60)
    times += json.loads(printed)


def watch(address: str) -> None:
    """Asks `/health` twenty times a second until SIGINT, then prints the times as JSON."""
    host = urlsplit(address).netloc
    times = []
    try:
        while True:
            started = time.monotonic()
            connection = http.client.HTTPConnection(host, timeout=60)
            connection.request("GET", "/health")
            if connection.getresponse().status != 200:
                raise AssertionError("/health refuses")
            connection.close()
            times.append(time.monotonic() - started)
            time.sleep(0.05)
    except KeyboardInterrupt:
        print(json.dumps(times))


def percentile(times: list[float], share: float) -> float:
    """A time that this share of the times does not exceed, in milliseconds."""
    return round(1000 * sorted(times)[min(len(times) - 1, int(share * len(times)))], 1)


def measure(made: Server, *, seconds: float, count: int) -> dict[str, Any]:
    """The three parts of this bench, on a server that runs."""
    address = f"http://127.0.0.1:{made.port}"
    asyncio.run(load(address, PLACES, 5))  # its memory grows with the first requests
    before = memory(made.pid)
    figures: dict[str, Any] = {"leaving": dict(asyncio.run(leaving(address, count)))}
    started = time.monotonic()
    body = {"messages": [{"role": "user", "content": QUESTIONS[0]}], "max_tokens": 8}
    httpx.post(f"{address}/v1/chat/completions", json=body, timeout=60, trust_env=False).raise_for_status()
    figures["request_after_them_seconds"] = round(time.monotonic() - started, 2)
    figures["memory_mib"] = [round(before), round(memory(made.pid))]
    print(figures, file=sys.stderr, flush=True)
    for times in (1, 4, 16):
        with health_watched(address) as waits:
            seen = asyncio.run(load(address, times * PLACES, seconds))
        health = {"p50": percentile(waits, 0.5), "p99": percentile(waits, 0.99), "asked": len(waits)}
        figures[f"load_{times}x"] = {"statuses": dict(seen), "health_ms": health}
        print(times, figures[f"load_{times}x"], file=sys.stderr, flush=True)
    figures["memory_mib"].append(round(memory(made.pid)))
    seen, ending = asyncio.run(ended_under_load(address, made.pid, PLACES))
    figures["sigterm"] = {"statuses": dict(seen), "seconds": round(ending, 1)}
    print(figures["sigterm"], file=sys.stderr, flush=True)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="of each load")
    parser.add_argument("--leaving", type=int, default=200, help="number of clients that leave")
    parser.add_argument("--model", default="smollm2-135m-instruct", help="folder or installed base model")
    parser.add_argument("--folder", type=Path, default=results.FOLDER, help="where the result is kept")
    parser.add_argument("--watch", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.watch:
        return watch(given.watch)
    from bench.serve import register, write_config

    with tempfile.TemporaryDirectory() as scratch:
        state, _ = register(Path(scratch), given.model)
        config = write_config(state, Path(scratch))
        with running(server(config, Path(scratch) / "log")) as made:
            figures = measure(made, seconds=given.seconds, count=given.leaving)
    results.save("serve_load", figures, packages=("openvino", "openvino-genai", "uvicorn"), folder=given.folder)
    return None


if __name__ == "__main__":
    main()
