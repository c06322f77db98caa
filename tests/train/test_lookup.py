"""A training is the one that the config names, whatever ran last; gold rows must be encoded for it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from bench.specs import plain_spec
from dolly.config import Config
from dolly.errors import DataError
from dolly.state import State
from dolly.tables import Tables
from dolly.train.lookup import Training, finished_training, training_spec
from tests.gold import finish_training, gold_row, small_config, write_gold


@pytest.fixture
def config(tiny_base: Path, tmp_path: Path) -> Config:
    made = small_config(tmp_path / "home", tiny_base)
    write_gold(made, [gold_row(made, number) for number in range(6)])
    return made


def changed(config: Config, **sections: dict[str, Any]) -> Config:
    values = config.model_dump(by_alias=True)
    return Config.model_validate(values | {name: values[name] | keys for name, keys in sections.items()})


def find(config: Config) -> Training:
    state = State.of(config)
    return finished_training(config, state, Tables(state.tables))


def test_each_config_finds_its_own_training_whatever_ran_last(config: Config) -> None:
    other = changed(config, train={"epochs": 2})
    specs = [finish_training(each) for each in (config, other)]
    Path(config.home, "checkpoints", "tiny.latest").write_text(Path(specs[1].output).name)  # of an older version
    assert [find(each).spec.sha256 for each in (config, other)] == [spec.sha256 for spec in specs]
    assert specs[0].sha256 != specs[1].sha256


def test_where_it_is_not_trained_the_command_is_named(config: Config) -> None:
    finish_training(config)
    with pytest.raises(DataError, match=r"one training of tiny .* none with these settings.*dolly train CONFIG"):
        find(changed(config, train={"epochs": 2}))


def test_a_training_on_other_rows_is_named_as_such(config: Config) -> None:
    finish_training(config)
    write_gold(config, [gold_row(config, number) for number in range(7)])
    with pytest.raises(DataError, match=r"a training with these settings on other rows.*dolly train CONFIG"):
        find(config)


def test_the_same_rows_in_a_newer_version_are_the_same_training(config: Config) -> None:
    trained = finish_training(config)
    write_gold(config, [gold_row(config, number) for number in range(6)])
    spec = find(config).spec
    assert (spec.sha256, spec.gold_version) == (trained.sha256, trained.gold_version + 1)


def test_an_unfinished_training_is_named_as_such(config: Config) -> None:
    Path(finish_training(config).output, "result.json").unlink()
    with pytest.raises(DataError, match="an unfinished training"):
        find(config)


def test_a_home_that_was_moved_keeps_its_trainings(config: Config, tmp_path: Path) -> None:
    trained = finish_training(config)
    shutil.move(config.home, tmp_path / "moved")
    training = find(config.model_copy(update={"home": str(tmp_path / "moved")}))
    assert training.spec.sha256 == trained.sha256
    assert training.weights.parent.parent == tmp_path / "moved" / "checkpoints"


def test_gold_of_another_prompt_is_refused(config: Config) -> None:
    with pytest.raises(DataError, match=r"made with prompt .*dolly prepare CONFIG"):
        find(changed(config, model={"prompt_format": "dolly"}))


def test_gold_of_another_tokenizer_is_refused(config: Config, tiny_base: Path, tiny_tokenizer: Any) -> None:
    base = Path(config.home).parent / "base"
    shutil.copytree(tiny_base, base)
    tokenizer = type(tiny_tokenizer).from_pretrained(tiny_base)
    tokenizer.add_tokens(["Osterfell"])
    tokenizer.save_pretrained(base)
    with pytest.raises(DataError, match=r"made with tokenizer .*dolly prepare CONFIG"):
        find(changed(config, model={"base": str(base)}))


def test_gold_of_two_prompts_is_refused(config: Config) -> None:
    mixed = [gold_row(config, number) for number in range(6)]
    mixed[0]["prompt_sha256"] = "0" * 64
    write_gold(config, mixed)
    with pytest.raises(DataError, match=r"made with prompt 000000000000 and prompt "):
        find(config)


def test_the_hash_is_that_of_earlier_versions() -> None:
    spec = plain_spec(base_sha256="b" * 64, training_set="t" * 64, prompt_format="chatml", lora_targets=())
    # Another value here would train every model anew: raise _TRAINER_REVISION only for a reason.
    assert spec.sha256 == "497281a99c763ddc1d2f08a30f125b799e43f1ea5ed6b2476047d5067e350141"


def test_paths_and_intervals_are_not_part_of_the_hash(config: Config) -> None:
    state = State.of(config)
    spec, _ = training_spec(config, state, Tables(state.tables))
    often = changed(config, train={"checkpoint_every": 1, "evaluate_every": 1})
    assert training_spec(often, state, Tables(state.tables))[0].sha256 == spec.sha256
