"""Evaluate, register and serve use the training and the evaluation that their own config names."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import mlflow
import pytest

from dolly.base_model import weights_sha256
from dolly.config import Config
from dolly.errors import DataError
from dolly.evaluate import stage as evaluate
from dolly.register import stage as register
from dolly.result import StageResult
from dolly.schema import GOLD_EXAMPLES
from dolly.serve import stage as serve
from dolly.state import State
from tests.gold import context_of, finish_training, gold_row, small_config, write_gold

pytestmark = [pytest.mark.model, pytest.mark.slow]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def config_of(home: Path, base: Path, epochs: int, **changes: Any) -> Config:
    training = {"method": "full", "epochs": epochs, "batch_size": 2, "block_tokens": 64}
    # The registry is another database than tracking: the code must not take them for one.
    return small_config(home, base, train=training, state={"registry": str(home / "registry.db")}, **changes)


@pytest.fixture(scope="module")
def configs(home: Path, tiny_base: Path) -> list[Config]:
    """Two trainings of one data set, the second of which fails its gate."""
    gate = {"max_questions": 2, "max_new_tokens": 2, "max_loss_ratio": 0.1}
    made = [config_of(home, tiny_base, 1), config_of(home, tiny_base, 2, evaluate=gate)]
    write_gold(made[0], [gold_row(made[0], number) for number in range(6)])
    for seed, config in enumerate(made):
        finish_training(config, seed=seed)
    return made


@pytest.fixture(scope="module")
def registered(configs: list[Config]) -> list[StageResult]:
    """Evaluates both, the second last, then registers both, the first last."""
    for config in configs:
        evaluate.run(context_of(config))
    return [register.run(context_of(config)) for config in reversed(configs)][::-1]


def client(config: Config) -> mlflow.MlflowClient:
    state = State.of(config)
    return mlflow.MlflowClient(state.tracking, state.registry)


def test_each_config_registers_its_own_weights(configs: list[Config], registered: list[StageResult]) -> None:
    versions = [client(configs[0]).get_model_version("small", result.ids["version"]) for result in registered]
    weights = [weights_sha256(str(finished(config))) for config in configs]
    assert weights[0] != weights[1]
    assert [version.tags["weights_sha256"] for version in versions] == weights
    assert [result.ids["aliases"] for result in registered] == ["challenger,champion", "challenger"]
    champion = client(configs[0]).get_model_version_by_alias("small", "champion").version
    assert str(champion) == registered[0].ids["version"]


def finished(config: Config) -> Path:
    from dolly.train.lookup import finished_training

    context = context_of(config)
    return finished_training(config, context.state, context.tables).weights


def test_what_was_registered_before_is_not_registered_again(
    configs: list[Config], registered: list[StageResult]
) -> None:
    assert register.run(context_of(configs[0])).ids == registered[0].ids
    assert len(client(configs[0]).search_model_versions("name = 'small'")) == 2


def test_model_and_version_are_described(configs: list[Config], registered: list[StageResult]) -> None:
    assert "champion" in client(configs[0]).get_registered_model("small").description
    passed, failed = (
        client(configs[0]).get_model_version("small", result.ids["version"]).description for result in registered
    )
    assert "Gate: passed" in passed
    assert "Gate: **not passed**: held-out loss of facts is 1.000, not below 0.1 × 3.000" in failed
    for text in (
        "95 % interval",
        "held-out loss, facts | 3.000 | 1.000",
        "learning rate",
        "`tiny`",
        "dolly train",
        "measured with | openvino",
    ):
        assert text in passed


def test_register_wants_the_evaluation_of_its_own_config(configs: list[Config], registered: list[StageResult]) -> None:
    longer = {"evaluate": {"max_questions": 2, "max_new_tokens": 3}}
    other = Config.model_validate(configs[0].model_dump(by_alias=True) | longer)
    with pytest.raises(DataError, match=r"1 evaluations of the training .*dolly evaluate CONFIG"):
        register.run(context_of(other))


def test_another_precision_is_another_evaluation(configs: list[Config], registered: list[StageResult]) -> None:
    config = Config.model_validate(configs[0].model_dump(by_alias=True) | {"serve": {"precision": "int8"}})
    with pytest.raises(DataError, match=r"none as this config evaluates.*serve.precision=int8"):
        register.run(context_of(config))
    first, second = (evaluate.run(context_of(each)).ids["evaluation"] for each in (configs[0], config))
    assert first != second
    register.run(context_of(config))
    version = registered[0].ids["version"]
    assert client(configs[0]).get_model_version("small", version).tags["engine"].endswith("int8")
    register.run(context_of(configs[0]))
    assert client(configs[0]).get_model_version("small", version).tags["engine"].endswith("fp32")


def test_register_judges_by_its_own_gate(configs: list[Config], registered: list[StageResult]) -> None:
    gate = configs[0].model_dump(by_alias=True)
    gate["evaluate"]["max_loss_ratio"] = 0.2
    assert register.run(context_of(Config.model_validate(gate))).ids["aliases"] == "challenger"


def test_the_answers_are_asked_once(configs: list[Config], registered: list[StageResult], monkeypatch: Any) -> None:
    monkeypatch.setattr(evaluate, "_answered", None)
    result = evaluate.run(context_of(configs[0]))
    assert result.ids["gate"] == "passed"
    assert result.figures["questions"] == 2


def test_an_expected_text_that_was_corrected_is_judged_anew(home: Path, tiny_base: Path, tmp_path: Path) -> None:
    config = small_config(tmp_path, tiny_base)
    rows = [gold_row(config, number) for number in range(6)]
    write_gold(config, rows)
    finish_training(config, seed=0)
    first = evaluate.run(context_of(config))
    write_gold(config, [row | {"expected": "14"} for row in rows])
    assert evaluate.run(context_of(config)).ids["evaluation"] != first.ids["evaluation"]


def test_the_serve_check_asks_of_the_champions_own_rows(
    configs: list[Config], registered: list[StageResult], tiny_base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Another config, of another prompt and data set, serves under the same name.
    other = config_of(
        Path(configs[0].home), tiny_base, 1, name="other", model={"base": str(tiny_base), "prompt_format": "dolly"}
    )
    write_gold(other, [gold_row(other, number) for number in range(6)])
    result = serve.run(context_of(other))
    engine = result.ids["engine"]
    assert result.ids == {"model": "small", "version": registered[0].ids["version"], "engine": engine}
    assert engine.startswith("openvino")
    assert "Which code 0?" in capsys.readouterr().out


def test_the_serve_check_says_so_where_those_rows_are_gone(
    configs: list[Config], registered: list[StageResult], capsys: pytest.CaptureFixture[str]
) -> None:
    context = context_of(configs[0])
    table = Path(context.state.tables, GOLD_EXAMPLES.name)
    shutil.move(table, table.with_name("elsewhere"))
    try:
        serve.run(context)
    finally:
        shutil.move(table.with_name("elsewhere"), table)
    printed = capsys.readouterr().out
    assert "was trained on tiny, version 0 of gold_examples, which can't be read" in printed
    assert "was asked over HTTP: What can you tell me?" in printed
