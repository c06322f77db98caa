"""The servers that a router knows: which are there, what they serve, how busy they are."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel, Field, field_validator

from dolly.config_router import is_address
from dolly.serve.errors import Refusal

_log = logging.getLogger(__name__)
_MISSED = 3  # heartbeats
_KEPT = 1000  # heartbeats after which a server that is away is dropped from memory


class Announcement(BaseModel):
    """What a server says of itself at each heartbeat.

    Args:
        url: where the router reaches it.
        models: that can answer now, as `/v1/models` lists them; its default comes first.
        running: answers that it generates.
        waiting: requests that wait.
        places: answers that it can generate at once.
    """

    url: str
    models: list[dict[str, Any]]
    running: int = Field(ge=0)
    waiting: int = Field(ge=0)
    places: int = Field(ge=1)

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        if not is_address(url):
            raise ValueError("expected http://HOST:PORT or https://HOST:PORT")
        return url.rstrip("/")

    @field_validator("models")
    @classmethod
    def _named(cls, models: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if not all(isinstance(model.get(key), str) for model in models for key in ("id", "alias")):
            raise ValueError("expected an id and an alias of each model")
        return models

    @property
    def keys(self) -> list[str]:
        """`name@alias` of the models."""
        return [f"{model['id']}@{model['alias']}" for model in self.models]


class Worker:
    """A server behind the router."""

    def __init__(self, announcement: Announcement) -> None:
        self.url, self.in_flight, self.turn, self.away = announcement.url, 0, 0, False
        self.renew(announcement)

    def renew(self, announcement: Announcement) -> None:
        """Takes a heartbeat."""
        self.said, self.seen = announcement, time.monotonic()
        # What it does for others, or a request of several answers; the router's own requests are counted exactly.
        self._others = max(0, announcement.running + announcement.waiting - self.in_flight)

    @property
    def load(self) -> float:
        """Requests per place."""
        return (self.in_flight + self._others) / self.said.places

    def serves(self, model: str) -> bool:
        """Does it have `name@alias`, or an alias of `name`?"""
        return any(model in (key, key.partition("@")[0]) for key in self.said.keys)

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Counts a request of the router while it runs."""
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1


class Workers:
    """The servers of a router.

    Args:
        heartbeat_seconds: between two announcements of a server.
        answers: does a server answer at this URL?
    """

    def __init__(self, *, heartbeat_seconds: float, answers: Callable[[str], Awaitable[bool]]) -> None:
        self.heartbeat_seconds, self._answers = heartbeat_seconds, answers
        self._workers: dict[str, Worker] = {}
        self._ever: set[str] = set()
        self._turns = 0
        self._probes: set[asyncio.Task[None]] = set()

    @property
    def present(self) -> list[Worker]:
        """The servers that get requests."""
        return [worker for worker in self._workers.values() if not worker.away and self._age(worker) < _MISSED]

    async def announce(self, announcement: Announcement) -> None:
        """Takes a heartbeat; a new server, or one that comes back, must be reachable.

        Raises:
            Refusal: it is not.
        """
        url = announcement.url
        if not any(worker.url == url for worker in self.present):
            if not await self._answers(url):
                text = f"the router can't reach {url}/health; set serve.router.worker_url to an address that it reaches"
                raise Refusal(400, text)
            _log.warning("%s is there, with %s", url, ", ".join(announcement.keys) or "no models yet")
        worker = self._workers.setdefault(url, Worker(announcement))
        worker.away = False
        worker.renew(announcement)
        self._ever.update(announcement.keys)
        self._workers = {url: one for url, one in self._workers.items() if self._age(one) < _KEPT or one.in_flight}

    def leave(self, url: str) -> None:
        """Sends a server no more requests; what it runs ends."""
        if worker := self._workers.pop(url.rstrip("/"), None):
            _log.warning("%s has left", worker.url)

    def lose(self, worker: Worker) -> None:
        """Sends a server whose connection failed no more requests until it answers again."""
        if worker.away or worker is not self._workers.get(worker.url):
            return
        _log.warning("%s is away: a connection failed", worker.url)
        worker.away = True
        probe = asyncio.ensure_future(self._look(worker))
        self._probes.add(probe)
        probe.add_done_callback(self._probes.discard)

    def choose(self, model: str | None, *, without: Collection[str]) -> Worker | None:
        """The least busy server that has a model; of equals, the one that has waited longest.

        One whose heartbeats are missing, which may only be slow, is chosen if there is no other.

        Args:
            model: `name@alias` or a name; None for the default of the server that came first.
            without: URLs of those that were tried.
        """
        late = [worker for worker in self._workers.values() if not worker.away]
        for there in (self.present, late):
            free = [worker for worker in _having(there, model) if worker.url not in without]
            if free:
                chosen = min(free, key=lambda worker: (worker.load, worker.turn))
                self._turns += 1
                chosen.turn = self._turns
                return chosen
        return None

    def require_known(self, model: str | None) -> None:
        """Requires that some server has, or has had, a model.

        Raises:
            Refusal: none did.
        """
        known = sorted(self._ever)
        if model is None or not known or any(model in (key, key.partition("@")[0]) for key in known):
            return
        text = f"found no model {model!r}; this router has {', '.join(known)}"
        raise Refusal(404, text, param="model", code="model_not_found")

    def models(self) -> list[dict[str, Any]]:
        """The models of all servers, each once, with the number of servers that have it."""
        listed: dict[str, dict[str, Any]] = {}
        for worker in self.present:
            for key, model in zip(worker.said.keys, worker.said.models, strict=True):
                servers = listed.get(key, {}).get("servers", 0) + 1
                listed[key] = model | {"servers": servers}
        return list(listed.values())

    def _age(self, worker: Worker) -> float:
        """Heartbeats since the last one."""
        return (time.monotonic() - worker.seen) / self.heartbeat_seconds

    async def _look(self, worker: Worker) -> None:
        if await self._answers(worker.url):  # one connection failed, not the server
            worker.away = False


def _having(there: list[Worker], model: str | None) -> list[Worker]:
    if model is not None:
        return [worker for worker in there if worker.serves(model)]
    default = next((worker.said.keys[:1] for worker in there if worker.said.keys), None)
    return [worker for worker in there if worker.said.keys[:1] == default]
