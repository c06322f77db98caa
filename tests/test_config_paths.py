"""Relative paths of a config: from its project, whatever the working directory; of an override: from the shell."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from dolly.config import Config
from dolly.config_file import load_config
from dolly.errors import ConfigError, EnvironmentFault, UsageError
from dolly.state import State
from dolly.tables import open_store

SOURCE = {"name": "faq", "path": "data/faq.csv", "format": "csv"}


def written(file: Path, **sections: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump({"name": "faq", "sources": [SOURCE]} | sections))
    return file


def load(file: Path, *overrides: str) -> Config:
    return load_config(file, list(overrides))


@pytest.mark.parametrize("file", ["conf/a.yaml", "conf/team/a.yaml", "a.yaml"])
def test_paths_are_relative_to_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    elsewhere.mkdir()
    config = written(project / file, clean={"privacy": {"names_file": "names.txt"}}, state={"tables": "tables"})
    for folder in (elsewhere, project):
        monkeypatch.chdir(folder)
        loaded = load(config)
        assert loaded.home == str(project / ".dolly")
        assert loaded.sources[0].path == str(project / "data/faq.csv")
        assert loaded.clean.privacy.names_file == str(project / "names.txt")
        assert loaded.state.tables == str(project / "tables")


def test_addresses_names_and_absolute_paths_stay_as_they_are(tmp_path: Path) -> None:
    addresses = {"tables": "s3a://bucket/x", "tracking": "http://127.0.0.1:5000", "artifacts": "s3://bucket/y"}
    hub = {"name": "hub", "path": "org/name", "format": "hub"}
    config = load(written(tmp_path / "a.yaml", state=addresses, sources=[hub], home="/h", model={"base": "org/model"}))
    assert config.state.model_dump(exclude_none=True) == addresses
    assert (config.sources[0].path, config.home, config.model.base) == ("org/name", "/h", "org/model")
    named = {"tables": "main.dolly", "tracking": "databricks", "registry": "databricks-uc"}
    loaded = load(written(tmp_path / "b.yaml", state=named))
    assert loaded.state.model_dump(exclude_none=True) == named
    assert State.of(loaded.model_copy(update={"home": str(tmp_path)})).registry == "databricks-uc"


def test_a_base_model_in_the_project_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models/small").mkdir(parents=True)
    config = written(tmp_path / "conf/a.yaml", model={"base": "models/small"})
    monkeypatch.chdir("/")
    assert load(config).model.base == str(tmp_path / "models/small")


def test_an_override_is_relative_to_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, shell = written(tmp_path / "conf/a.yaml"), tmp_path / "shell"
    shell.mkdir()
    (shell / "new.csv").touch()
    monkeypatch.chdir(shell)
    loaded = load(config, "home=h", "sources.0.path=new.csv", "state.checkpoints=../c")
    assert (loaded.home, loaded.state.checkpoints) == (str(shell / "h"), str(tmp_path / "c"))
    assert loaded.sources[0].path == str(shell / "new.csv")
    # What is not there is looked for in the project, as if the config said it.
    assert load(config, "sources.0.path=data/other.csv").sources[0].path == str(tmp_path / "data/other.csv")


def test_the_state_lies_under_home_unless_the_config_says_otherwise(tmp_path: Path) -> None:
    state = State.of(load(written(tmp_path / "a.yaml", home="h")))
    home = tmp_path / "h"
    assert (state.tables, state.tracking) == (str(home / "tables"), f"sqlite:///{home}/mlflow.db")
    assert (state.registry, state.artifacts) == (state.tracking, (home / "artifacts").as_uri())
    assert state == State.at(home)


def test_a_server_keeps_artifacts_unless_the_config_says_otherwise(tmp_path: Path) -> None:
    served = State.of(load(written(tmp_path / "a.yaml", state={"tracking": "http://127.0.0.1:1"})))
    assert (served.registry, served.artifacts) == ("http://127.0.0.1:1", None)
    own = {"tracking": "runs/mlflow.db", "artifacts": "kept here", "registry": "http://127.0.0.1:2"}
    state = State.of(load(written(tmp_path / "b.yaml", state=own)))
    assert state.tracking == f"sqlite:///{tmp_path}/runs/mlflow.db"
    assert (state.registry, state.artifacts) == ("http://127.0.0.1:2", (tmp_path / "kept here").as_uri())


def test_mlflows_own_variables_count_where_the_config_names_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:3")
    assert State.of(load(written(tmp_path / "a.yaml"))).tracking == "http://127.0.0.1:3"
    assert State.of(load(written(tmp_path / "b.yaml", state={"tracking": "own.db"}))).registry.endswith("/own.db")


@pytest.mark.parametrize(
    ("key", "address", "words"),
    [
        ("checkpoints", "s3://bucket/x", "expected a folder that all machines see"),
        ("artifacts", "ftp://host/x", "expected a folder or one of s3://"),
        ("tables", "ftp://host/x", "expected a folder or one of s3a://"),
    ],
)
def test_an_address_of_another_kind_is_refused_before_anything_is_written(
    tmp_path: Path, key: str, address: str, words: str
) -> None:
    file = tmp_path / "e.yaml"
    file.write_text(yaml.safe_dump({"name": "e", "home": "home", "sources": [SOURCE], "state": {key: address}}))
    with pytest.raises(ConfigError, match=f"state.{key}.*{words}"):
        load_config(file)
    assert [path.name for path in tmp_path.iterdir()] == ["e.yaml"]


def test_a_name_of_three_parts_is_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "e.yaml"
    file.write_text(yaml.safe_dump({"name": "e", "sources": [SOURCE], "state": {"tables": "main.lake.gold"}}))
    with pytest.raises(UsageError, match=r"a name of 3 parts; expected catalog\.schema"):
        open_store(load_config(file).state.tables or "")


def test_a_full_disk_is_told_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = State.at(tmp_path / "home")
    state.require_room()
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=3_000_000))
    with pytest.raises(EnvironmentFault, match="found 3 MB free on the disk of"):
        state.require_room()


def test_a_file_where_a_folder_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentFault, match=r"file, which is a file; expected the folder .*file/home"):
        State.at(tmp_path / "file" / "home")
