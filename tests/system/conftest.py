"""Real servers and a Spark cluster; a server starts once in a test process, when the first test needs it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.chat_server import ChatServer, chat_server
from tests.system.chat_user import foreign, opened
from tests.system.cluster import spark_cluster
from tests.system.devtools import Chromium, Page, chromium
from tests.system.server import Server, running
from tests.system.servers import S3, Postgres, mlflow_server_on


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server."""
    with Postgres.running() as server:
        yield server


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """An S3 server with a bucket."""
    store = S3(tmp_path_factory.mktemp("s3"))
    with running(store.server):
        store.client().create_bucket(Bucket=store.bucket)
        yield store


@pytest.fixture(scope="session")
def mlflow_server(postgres: Postgres, s3: S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """MLflow's server on PostgreSQL, with artifacts on S3; a test may kill it and start it again."""
    with running(mlflow_server_on(postgres, s3, tmp_path_factory.mktemp("mlflow"))) as server:
        yield server


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """The URL of a Spark cluster with two workers of one core each."""
    with spark_cluster(tmp_path) as url:
        yield url


@pytest.fixture(scope="session")
def browser() -> Iterator[Chromium]:
    """A browser."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def chat(tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChatServer]:
    """A server with two scripted models."""
    with chat_server(tmp_path_factory.mktemp("chat"), tiny_tokenizer) as started:
        yield started


@pytest.fixture
def page(browser: Chromium, chat: ChatServer) -> Iterator[Page]:
    """The chat page, which asks nothing of any other host."""
    for engine in chat.engines.values():
        engine.healthy.clear()
    page = opened(browser, chat)
    yield page
    assert not foreign(page, chat)
    assert not page.dialogs
