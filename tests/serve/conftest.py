"""Servers without weights, alone and behind a router."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests.serve.routing import behind, eventually, routing, servers
from tests.serve.scripted import app_of


@pytest.fixture
def apps(tiny_tokenizer: Any) -> list[Any]:
    return [app_of(tiny_tokenizer) for _ in range(2)]


@pytest.fixture
def router(apps: list[Any]) -> Iterator[httpx.Client]:
    """A router with two servers."""
    with routing() as client, ExitStack() as stack:
        for app in apps:
            stack.enter_context(behind(client, app))
        eventually(lambda: servers(client) == 2)
        yield client
