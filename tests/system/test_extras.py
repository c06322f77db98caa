"""Each extra alone, in an environment of its own that is installed from the built wheel, runs its commands."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from dolly.installed import shared_folder
from dolly.schema import GOLD_EXAMPLES
from dolly.tables import Tables
from tests.support import Run, tiny_config
from tests.system.server import Server, answers_http, running
from tests.system.servers import Postgres

pytestmark = [pytest.mark.slow]

ROOT = Path(__file__).parents[2]


class Environment:
    """A virtual environment with dolly and one extra."""

    def __init__(self, folder: Path) -> None:
        self.python, self._cwd = folder / "bin" / "python", folder

    def dolly(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "dolly.cli", *arguments)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.python), *arguments],
            capture_output=True,
            text=True,
            cwd=self._cwd,
            env=self.variables,
            timeout=500,
            check=False,
        )

    @property
    def variables(self) -> dict[str, str]:
        """Without PYTHONPATH, so that the installed dolly runs."""
        return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def lacks(self, *modules: str) -> bool:
        code = f"import importlib.util as u, sys; sys.exit(any(u.find_spec(name) for name in {modules}))"
        return self.run("-c", code).returncode == 0


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as a wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "dolly", folder / "dolly", ignore=shutil.ignore_patterns("__pycache__"))
    uv("build", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", str(folder), str(folder))
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def install(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Environment]:
    """Makes an environment with one extra, from the packages that set-up has left in uv's cache."""

    def made(extra: str) -> Environment:
        folder = tmp_path_factory.mktemp(extra or "base") / "venv"
        uv("venv", "--python", sys.executable, str(folder))
        requirement = f"dolly[{extra}] @ {wheel.as_uri()}" if extra else f"dolly @ {wheel.as_uri()}"
        python = ("--python", str(folder / "bin" / "python"))
        uv("pip", "install", "--offline", *python, "-c", str(ROOT / "constraints.txt"), requirement)
        (folder / "share").mkdir(exist_ok=True)
        (folder / "share" / "dolly").symlink_to(shared_folder())
        return Environment(folder)

    return made


def uv(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "uv", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_base_package_lists_tables_and_names_the_extra_that_a_stage_needs(
    install: Callable[[str], Environment], finished_run: Run
) -> None:
    base = install("")
    assert base.lacks("torch", "pyspark")
    assert "Fine-tune" in base.dolly("--help").stdout
    assert json.loads(base.dolly("schema").stdout)["title"] == "Config"
    assert "gold_examples" in base.dolly("tables", "--home", str(finished_run.home)).stdout
    refused = base.dolly("run", str(finished_run.config))
    assert refused.returncode == 1
    assert "pip install 'dolly[spark]'" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1


def test_spark_alone_makes_the_same_gold_rows(
    install: Callable[[str], Environment], finished_run: Run, tiny_base: Path, tmp_path: Path
) -> None:
    spark = install("spark")
    assert spark.lacks("torch", "lxml")
    copy_key(finished_run, tmp_path / "home")
    done = spark.dolly("run", str(tiny_config(tmp_path, tiny_base)), "--until", "prepare")
    assert done.returncode == 0, done.stdout + done.stderr
    assert gold(tmp_path / "home") == gold(finished_run.home)


def test_docs_alone_reads_documents(install: Callable[[str], Environment], tiny_base: Path, tmp_path: Path) -> None:
    docs = install("docs")
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "a.html").write_text("<h1>Gate</h1><p>The visitor gate opens at seven.</p>")
    sources = [{"name": "handbook", "path": str(tmp_path / "documents"), "format": "documents"}]
    done = docs.dolly("ingest", str(tiny_config(tmp_path, tiny_base, sources=sources)))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 files in = 1 bronze" in done.stdout


def test_train_alone_trains_evaluates_and_registers_prepared_rows(
    install: Callable[[str], Environment], finished_run: Run, tiny_base: Path, tmp_path: Path
) -> None:
    train = install("train")
    assert train.lacks("pyspark", "delta", "py4j")
    shutil.copytree(finished_run.home / "tables", tmp_path / "home" / "tables")
    config = tiny_config(tmp_path, tiny_base)
    done = train.dolly("run", str(config), "--from", "train", "--until", "register")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "version 1" in done.stdout
    ours, theirs = (step_losses(home) for home in (tmp_path / "home", finished_run.home))
    assert ours == pytest.approx(theirs, abs=1e-4)


def test_serve_alone_answers(install: Callable[[str], Environment], finished_run: Run, tmp_path: Path) -> None:
    serve = install("serve")
    assert serve.lacks("pyspark", "deepspeed")
    asked = serve.dolly("ask", "Where is the depot?", "--home", str(finished_run.home), "--max-tokens", "4")
    assert asked.returncode == 0, asked.stderr
    server = Server(
        lambda port: [
            *(str(serve.python), "-m", "dolly.cli", "serve", str(finished_run.config), f"serve.port={port}"),
        ],
        ready=answers_http("/health"),
        log=tmp_path / "log",
        environment={"PYTHONPATH": ""},
    )
    with running(server):
        request = {"messages": [{"role": "user", "content": "Where is the depot?"}], "max_tokens": 4}
        address = f"http://127.0.0.1:{server.port}/v1/chat/completions"
        answer = httpx.post(address, json=request, timeout=60, trust_env=False).json()
    assert answer["choices"][0]["message"]["content"] == asked.stdout.strip()


def test_route_alone_waits_for_servers(install: Callable[[str], Environment], tiny_base: Path, tmp_path: Path) -> None:
    route = install("route")
    assert route.lacks("torch", "pyspark", "openvino")
    config = str(tiny_config(tmp_path, tiny_base))
    server = Server(
        lambda port: [str(route.python), "-m", "dolly.cli", "route", config, f"serve.router.port={port}"],
        ready=answers_http("/health"),
        log=tmp_path / "log",
        environment={"PYTHONPATH": "", "DOLLY_ROUTER_SECRET": "s" * 40},
    )
    with running(server):
        assert httpx.get(f"http://127.0.0.1:{server.port}/ready", trust_env=False).status_code == 503


@pytest.mark.parametrize(
    ("extra", "address"),
    [
        ("s3", "s3://bucket/artifacts"),
        ("azure", "abfss://container@account.dfs.core.windows.net/artifacts"),
        ("gcs", "gs://bucket/artifacts"),
    ],
)
def test_the_clients_of_an_object_store_serve_mlflow(
    extra: str, address: str, install: Callable[[str], Environment]
) -> None:
    code = (
        "import obstore; from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository; "
        f"print(type(get_artifact_repository('{address}')).__name__)"
    )
    environment = install(extra)
    assert environment.lacks("torch", "pyspark")
    done = environment.run("-c", code)
    assert done.returncode == 0, done.stderr


def test_postgresql_is_reached_by_the_address_that_a_config_names(
    install: Callable[[str], Environment], postgres: Postgres
) -> None:
    code = (
        "import sys, sqlalchemy; engine = sqlalchemy.create_engine(sys.argv[1]); "
        "print(engine.connect().execute(sqlalchemy.text('SELECT 41 + 1')).scalar())"
    )
    done = install("postgresql").run("-c", code, postgres.url())
    assert done.stdout.strip() == "42", done.stderr


def copy_key(finished: Run, home: Path) -> None:
    """The same key, so the same pseudonyms."""
    home.mkdir()
    shutil.copy(finished.home / "privacy.key", home)


def gold(home: Path) -> list[dict[str, object]]:
    rows = Tables(home / "tables").read_arrow(GOLD_EXAMPLES, scope="tiny").to_pylist()
    return sorted(rows, key=lambda row: (row["example_id"], row["part"]))


def step_losses(home: Path) -> list[float]:
    (result,) = home.glob("checkpoints/tiny-*/result.json")
    losses: list[float] = json.loads(result.read_text())["step_losses"]
    return losses
