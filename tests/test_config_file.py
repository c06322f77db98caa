from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from dolly.config_file import json_schema, load_config
from dolly.errors import ConfigError, UsageError

CONF = Path(__file__).parents[1] / "conf"
SHIPPED = sorted(CONF.rglob("*.yaml"))
FACTS = {"name": "facts", "path": "facts.csv", "format": "csv"}


def written(folder: Path, **sections: Any) -> Path:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({"name": "mine", "sources": [FACTS], **sections}), encoding="utf-8")
    return path


def faults_of(path: Path, overrides: list[str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    assert str(path) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert all(fault in str(caught.value) for fault in caught.value.faults)
    return caught.value.faults


def test_there_are_shipped_configs() -> None:
    assert SHIPPED


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_each_shipped_config_loads(path: Path) -> None:
    assert load_config(path).name == path.stem


def test_the_shipped_schema_is_that_of_the_config() -> None:
    assert (CONF / "schema.json").read_text(encoding="utf-8") == json_schema()


def test_a_section_left_out_has_its_defaults(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, train={"epochs": 3}))
    assert (config.train.epochs, config.train.method, config.serve.host) == (3, "lora", "127.0.0.1")


@pytest.mark.parametrize(
    ("sections", "key", "nearest"),
    [
        ({"trian": {}}, "trian", "train"),
        ({"train": {"epoch": 2}}, "train.epoch", "train.epochs"),
        ({"train": {"lora": {"rnak": 8}}}, "train.lora.rnak", "train.lora.rank"),
        ({"register": {"nmae": "x"}}, "register.nmae", "register.name"),
        ({"register_": {}}, "register_", "register"),
        ({"sources": [FACTS | {"fromat": "csv"}]}, "sources.0.fromat", "sources.0.format"),
        (
            {"sources": [FACTS, FACTS | {"name": "b", "columns": {"ouptut": "answer"}}]},
            "sources.1.columns.ouptut",
            "sources.1.columns.output",
        ),
    ],
)
def test_an_unknown_key_is_a_fault_that_names_the_nearest_known_one(
    tmp_path: Path, sections: dict[str, Any], key: str, nearest: str
) -> None:
    (fault,) = faults_of(written(tmp_path, **sections))
    assert fault.startswith(f"{key}: unknown key")
    assert f"nearest known: {nearest})" in fault


@pytest.mark.parametrize(
    ("sections", "key", "found"),
    [
        ({"seed": "many"}, "seed", "many"),
        ({"home": 3}, "home", "3"),
        ({"home": {"a": 1}}, "home", "{'a': 1}"),
        ({"name": "Not A Name"}, "name", "Not A Name"),
        ({"train": {"epochs": [1]}}, "train.epochs", "[1]"),
        ({"train": {"epochs": 0}}, "train.epochs", "0"),
        ({"train": {"epochs": float("nan")}}, "train.epochs", "nan"),
        ({"train": {"epochs": float("inf")}}, "train.epochs", "inf"),
        ({"train": {"method": "loora"}}, "train.method", "loora"),
        ({"train": 3}, "train", "3"),
        ({"train": None}, "train", "None"),
        ({"serve": {"port": 70000}}, "serve.port", "70000"),
        ({"prepare": {"eval_share": 1.0}}, "prepare.eval_share", "1.0"),
        ({"sources": []}, "sources", "[]"),
        ({"sources": [FACTS | {"format": "xml"}]}, "sources.0.format", "xml"),
    ],
)
def test_a_wrong_value_is_a_fault_that_names_what_was_found(
    tmp_path: Path, sections: dict[str, Any], key: str, found: str
) -> None:
    (fault,) = faults_of(written(tmp_path, **sections))
    assert fault.startswith(f"{key}: ")
    assert found in fault


def test_a_missing_key_is_a_fault(tmp_path: Path) -> None:
    source = {key: value for key, value in FACTS.items() if key != "format"}
    (fault,) = faults_of(written(tmp_path, sources=[source]))
    assert fault.startswith("sources.0.format: missing")


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    sections = {"seed": "x", "trian": {}, "train": {"epoch": 1}, "home": "${DOLLY_TEST_UNSET}"}
    faults = faults_of(written(tmp_path, **sections))
    assert len(faults) == 4
    for key in ("seed", "trian", "train.epoch", "DOLLY_TEST_UNSET"):
        assert any(key in fault for fault in faults)


@pytest.mark.parametrize(
    ("sections", "named"),
    [
        ({"train": {"batch_size": 5, "processes": 2}}, ["train", "batch_size 5", "processes 2"]),
        ({"sources": [FACTS | {"eval_variants": ["4"]}]}, ["sources.0", "eval_variants", "columns.variant"]),
        ({"sources": [FACTS, FACTS | {"path": "other.csv"}]}, ["sources", "facts"]),
    ],
)
def test_keys_that_contradict_each_other_are_a_fault(
    tmp_path: Path, sections: dict[str, Any], named: list[str]
) -> None:
    (fault,) = faults_of(written(tmp_path, **sections))
    for part in named:
        assert part in fault


def test_overrides_set_keys_by_dotted_name_and_list_position(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = [
        "seed=5",
        "train.epochs=0.5",
        "train.lora.rank=4",
        "model.system=a=b, c=d",
        "sources.0.path=other.csv",
        "sources.0.columns.input=null",
        "sources.0.columns.variant=wording",
        'sources.0.eval_variants=["4", "5"]',
        "train.max_steps=",
    ]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.csv").touch()
    config = load_config(written(tmp_path, train={"max_steps": 9}), overrides)
    source = config.sources[0]
    assert (config.seed, config.train.epochs, config.train.lora.rank) == (5, 0.5, 4)
    assert config.model.system == "a=b, c=d"
    assert (source.path, source.columns.input, source.eval_variants) == (str(tmp_path / "other.csv"), None, ("4", "5"))
    assert config.train.max_steps is None


def test_the_last_override_of_a_key_wins(tmp_path: Path) -> None:
    assert load_config(written(tmp_path), ["seed=1", "seed=2"]).seed == 2


def test_an_override_is_checked_like_the_file(tmp_path: Path) -> None:
    (fault,) = faults_of(written(tmp_path), ["train.epoch=2"])
    assert "train.epochs" in fault


@pytest.mark.parametrize(
    "override",
    [
        "train.epochs",
        "",
        "=3",
        " =3",
        "train.epochs=[1",
        "name.first=x",
        "name.first.second=x",
        "sources.x.path=a",
        "sources.7.path=a",
        "sources.path=a",
    ],
)
def test_an_override_that_does_not_fit_is_a_wrong_request(tmp_path: Path, override: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_config(written(tmp_path), [override])
    assert repr(override) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "value", "path"),
    [
        ("${DOLLY_TEST_DATA:-data}/a.csv", None, "data/a.csv"),
        ("${DOLLY_TEST_DATA:-data}/a.csv", "there", "there/a.csv"),
        ("${DOLLY_TEST_DATA:-data}/a.csv", "", "data/a.csv"),
        ("${DOLLY_TEST_DATA:-}a.csv", None, "a.csv"),
        ("${DOLLY_TEST_DATA}/${DOLLY_TEST_DATA}.csv", "x", "x/x.csv"),
        ("$DOLLY_TEST_DATA/a.csv", "x", "$DOLLY_TEST_DATA/a.csv"),
    ],
)
def test_variables_come_from_the_environment_or_their_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, value: str | None, path: str
) -> None:
    monkeypatch.delenv("DOLLY_TEST_DATA", raising=False)
    if value is not None:
        monkeypatch.setenv("DOLLY_TEST_DATA", value)
    assert load_config(written(tmp_path, sources=[FACTS | {"path": text}])).sources[0].path == str(tmp_path / path)


def test_a_variable_without_value_and_default_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOLLY_TEST_DATA", raising=False)
    (fault,) = faults_of(written(tmp_path, home="${DOLLY_TEST_DATA}/home"))
    assert "DOLLY_TEST_DATA" in fault


def test_a_missing_file_lists_the_configs_that_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf").mkdir()
    for name in ("a.yaml", "b.yaml", "notes.txt"):
        (tmp_path / "conf" / name).write_text("")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"conf/a\.yaml, conf/b\.yaml") as caught:
        load_config("conf/c.yaml")
    assert "conf/c.yaml" in str(caught.value)
    assert "notes.txt" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words\n", "17\n"])
def test_a_file_that_is_no_mapping_is_a_fault(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    (fault,) = faults_of(path, ["seed=3"])
    assert "not a mapping" in fault


@pytest.mark.parametrize("text", ["name: [\n", "a: b: c\n", "\tname: x\n", "name: 'x\n", "name: \x07\n"])
def test_a_yaml_fault_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    assert len(faults_of(path)) == 1


def test_a_file_that_is_not_utf_8_or_no_file_is_a_wrong_request(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes("name: größe\n".encode("latin-1"))
    for unreadable in (path, tmp_path):
        with pytest.raises(UsageError, match=r"mine\.yaml|test_a_file"):
            load_config(unreadable)
