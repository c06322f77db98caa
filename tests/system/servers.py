"""The servers of the system tests: PostgreSQL, S3, MLflow. `make system` installs them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.system.server import Server, answers_http, running


class Postgres:
    """A PostgreSQL server with the superuser `faq` and this password; its data go with it."""

    user, password = "faq", "a secret: 'with' spaces"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # PostgreSQL refuses to run as root.
        self._account = "postgres" if os.getuid() == 0 else None
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        assert programs, "no PostgreSQL; run make system"
        self._programs = programs[-1].parent
        data = folder / "data"
        self.server = Server(
            lambda port: [
                *(str(self._programs / "postgres"), "-D", str(data), "-p", str(port), "-k", str(folder)),
                *("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"),
            ],
            ready=self._is_ready,
            log=folder / "log",
            user=self._account,
        )

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Postgres]:
        # PostgreSQL's user can't enter pytest's folders.
        with tempfile.TemporaryDirectory(prefix="dolly-pg-", ignore_cleanup_errors=True) as name:
            made = cls(Path(name))
            made._initialise()
            with running(made.server, ending=signal.SIGINT):  # does not wait for open connections
                yield made

    def url(self, database: str = "postgres") -> str:
        """As SQLAlchemy takes it, with the password."""
        user = f"{self.user}:{quote(self.password, safe='')}"
        return f"postgresql://{user}@127.0.0.1:{self.server.port}/{database}"

    def jdbc_url(self, database: str = "postgres") -> str:
        return f"jdbc:postgresql://127.0.0.1:{self.server.port}/{database}"

    def sql(self, text: str, database: str = "postgres") -> None:
        """Runs statements."""
        where = ("-h", "127.0.0.1", "-p", str(self.server.port), "-U", self.user, "-d", database)
        self._run("psql", "-q", "-v", "ON_ERROR_STOP=1", *where, "-c", text)

    def _initialise(self) -> None:
        password = self._folder / "password"
        password.write_text(self.password)
        if self._account:
            for path in (self._folder, password):
                shutil.chown(path, self._account, self._account)
        own = ("-U", self.user, "-A", "scram-sha-256", f"--pwfile={password}", "-E", "UTF8", "-N")
        self._run("initdb", "-D", str(self._folder / "data"), *own)

    def _is_ready(self, port: int) -> bool:
        program = str(self._programs / "pg_isready")
        command = [program, "-q", "-h", "127.0.0.1", "-p", str(port), "-d", "postgres"]
        return subprocess.run(command, check=False).returncode == 0

    def _run(self, program: str, *arguments: str) -> None:
        account = {"user": self._account, "group": self._account, "extra_groups": []} if self._account else {}
        subprocess.run(
            [str(self._programs / program), *arguments],
            check=True,
            cwd="/",
            stdout=subprocess.DEVNULL,
            env=os.environ | {"PGPASSWORD": self.password},
            **account,
        )


class S3:
    """An S3 server whose objects live in its memory."""

    bucket = "dolly"
    key, secret = "AKIDTEST", "secret-of-the-tests"

    def __init__(self, folder: Path) -> None:
        home = Path(os.environ.get("DOLLY_SYSTEM", Path(__file__).parents[2] / ".venv-system"))
        program = home / "s3" / "bin" / "moto_server"
        assert program.is_file(), f"no {program}; run make system"
        self.server = Server(
            lambda port: [str(program), "-H", "127.0.0.1", "-p", str(port)],
            ready=answers_http("/moto-api/"),
            log=folder / "s3.log",
        )

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a client reads: boto3 and MLflow, `deltalake`, Spark's S3A."""
        return {
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_EC2_METADATA_DISABLED": "true",
            "MLFLOW_S3_ENDPOINT_URL": self.endpoint,
        }

    def client(self) -> Any:
        """A client of boto3."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            region_name="us-east-1",
        )


def mlflow_server_on(postgres: Postgres, s3: S3, folder: Path) -> Server:
    """MLflow's server: runs in a PostgreSQL database of its own, artifacts in the S3 bucket through the server."""
    postgres.sql("CREATE DATABASE mlflow")
    stores = ("--backend-store-uri", postgres.url("mlflow"), "--artifacts-destination", f"s3://{s3.bucket}/mlflow")
    return Server(
        lambda port: [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
            *("--workers", "1", *stores),
        ],
        ready=answers_http("/health"),
        log=folder / "mlflow.log",
        environment=s3.environment
        | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONPATH": ""},
    )
