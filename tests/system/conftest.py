"""Real servers and a Spark cluster; a server starts once in a test process, when the first test needs it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.cluster import spark_cluster
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
