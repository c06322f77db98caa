"""A home that was moved or copied uses its own artifacts, and leaves the other home alone."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest

from dolly.state import State
from dolly.tracking import connect
from tests.tracking.conftest import runs, tracker


@pytest.fixture
def used(home: State) -> State:
    """A home with a run, its artifacts and a registered model version."""
    with tracker(home).parent(name="first", config="a: 1", params={}) as parent:
        pass
    client = mlflow.MlflowClient(home.tracking)
    client.create_registered_model("m")
    source = f"{home.artifacts}/{parent.run_id}/artifacts"
    client.create_model_version("m", source, parent.run_id)
    return home


def locations(state: State) -> set[str]:
    client = mlflow.MlflowClient(state.tracking, state.tracking)
    experiment = client.get_experiment_by_name("e")
    assert experiment is not None
    version = client.get_model_version("m", "1")
    return {experiment.artifact_location, runs(state)["first"].info.artifact_uri, version.source}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("new", ["copy", "a copy with spaces, größer", "100% of h"])
def test_a_copy_writes_into_itself_and_reads_its_own_files(used: State, tmp_path: Path, new: str) -> None:
    shutil.copytree(used.home, tmp_path / new)
    before = contents(used.home)
    copy = State.at(tmp_path / new)
    with tracker(copy).parent(name="second", config="a: 2", params={}) as second:
        pass
    assert contents(used.home) == before
    assert copy.artifacts is not None
    assert all(uri.startswith(copy.artifacts) for uri in locations(copy))
    assert (copy.home / "artifacts" / second.run_id / "artifacts" / "config.yaml").is_file()
    shutil.rmtree(used.home)
    assert mlflow.artifacts.load_text(f"runs:/{runs(copy)['first'].info.run_id}/config.yaml") == "a: 1"


def test_a_home_may_move_twice(used: State, tmp_path: Path) -> None:
    for name in ("second", "third"):
        used.home.rename(tmp_path / name)
        used = State.at(tmp_path / name)
        connect(used)
    assert used.artifacts is not None
    assert all(uri.startswith(used.artifacts) for uri in locations(used))


def test_artifacts_kept_elsewhere_stay_there(home: State, tmp_path: Path) -> None:
    elsewhere = replace(home, artifacts=(tmp_path / "shared").as_uri())
    with tracker(elsewhere).parent(name="first", config="a: 1", params={}):
        pass
    with tracker(home).parent(name="second", config="a: 2", params={}) as second:
        pass
    found = runs(home)
    assert found["first"].info.artifact_uri.startswith(str(elsewhere.artifacts))
    assert mlflow.artifacts.load_text(f"runs:/{found['first'].info.run_id}/config.yaml") == "a: 1"
    assert (home.home / "artifacts" / second.run_id).is_dir()


def test_a_copy_without_its_artifacts_still_writes_into_itself(used: State, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    shutil.copy(used.home / "mlflow.db", tmp_path / "bare")
    before = contents(used.home)
    with tracker(State.at(tmp_path / "bare")).parent(name="second", config="a: 2", params={}):
        pass
    assert contents(used.home) == before
