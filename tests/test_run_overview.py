"""What a person sees of a run: names that set runs apart, parameters that were set, headline figures."""

from __future__ import annotations

from typing import Any

import pytest

from dolly.config import Config
from dolly.pipeline import STAGES
from dolly.result import StageResult
from dolly.run_overview import description, headline, run_name, run_params

SOURCES = [{"name": "s", "path": "s.jsonl", "format": "jsonl"}]


def config(**sections: Any) -> Config:
    return Config.model_validate({"name": "demo", "sources": SOURCES} | sections)


def results() -> dict[str, StageResult]:
    losses = {"loss_before/s": 4.0, "loss_after/s": 0.5}
    facts = {f"fact_accuracy_{moment}{end}": 0.25 for moment in ("before", "after") for end in ("", "_low", "_high")}
    figures: dict[str, dict[str, float]] = {
        "ingest": {"a/in": 10, "b/in": 5, "a/bronze": 9},
        "clean": {"in": 14},
        "prepare": {"gold": 12, "train/tokens": 900},
        "train": {"steps": 3, "tokens_per_second": 300, "tokens_seen": 900, **losses},
        "evaluate": {"questions": 8, "fact_questions": 6, "gate_passed": 1, **facts, **losses},
        "register": {},
    }
    ids = {"register": {"model": "m", "version": "3"}}
    return {name: StageResult(name, "id", values, ids.get(name, {})) for name, values in figures.items()}


@pytest.mark.parametrize(
    ("stages", "overrides", "expected"),
    [
        (STAGES, (), "lora r16 lr 2e-3 4 epochs"),
        (("train",), (), "train lora r16 lr 2e-3 4 epochs"),
        (("train",), ("seed=18", "train.epochs=4"), "train lora r16 lr 2e-3 4 epochs seed=18"),
        (STAGES[3:], ("home=/tmp/x",), "train → serve lora r16 lr 2e-3 4 epochs"),
        (STAGES[:3], ("train.epochs=4", "prepare.max_tokens=64"), "ingest → prepare train.epochs=4"),
        (("clean",), (), "clean"),
    ],
)
def test_a_name_says_what_was_run(stages: tuple[str, ...], overrides: tuple[str, ...], expected: str) -> None:
    settings = {"learning_rate": 2e-3, "epochs": 4}
    name = run_name(config(train=settings), stages, overrides)
    assert name == expected + (" prepare.max_tokens=64" if "prepare.max_tokens=64" in overrides else "")


@pytest.mark.parametrize(
    "change",
    [
        {"train": {"learning_rate": 2.5e-4}},
        {"train": {"epochs": 0.5}},
        {"train": {"max_steps": 7}},
        {"train": {"method": "full"}},
        {"train": {"lora": {"rank": 8}}},
        {"model": {"base": "/models/other"}},
    ],
)
def test_trainings_with_other_settings_have_other_names(change: dict[str, Any]) -> None:
    assert run_name(config(**change), STAGES) != run_name(config(), STAGES)


def test_a_name_is_short_enough_to_read() -> None:
    assert len(run_name(config(), STAGES, [f"clean.rules.rule_{n}=flag" for n in range(50)])) <= 120


def test_parameters_at_their_default_are_left_out_but_those_that_are_compared() -> None:
    params = run_params(config(train={"schedule": "linear", "warmup_share": 0.03}, home="/tmp/x"))
    compared = {"model.base", "train.method", "train.learning_rate", "train.epochs", "train.batch_size", "seed"}
    given = {"name", "sources.0.name", "sources.0.path", "sources.0.format"}
    assert set(params) == compared | given | {"train.schedule"}
    assert (params["train.schedule"], params["seed"]) == ("linear", 17)


def test_the_headline_has_the_figures_that_runs_are_compared_by() -> None:
    figures = headline(results())
    expected = {"rows_in": 15, "rows_gold": 12, "train_tokens": 900, "steps": 3, "tokens_per_second": 300}
    assert expected.items() <= figures.items()
    assert {"gate_passed", "fact_accuracy_after", "fact_accuracy_after_low", "loss_after/s"} <= set(figures)
    assert not {"questions", "tokens_seen", "in", "a/in"} & set(figures)


def test_a_run_that_stopped_early_has_the_figures_of_its_stages() -> None:
    assert headline({}) == {}
    assert headline({"ingest": results()["ingest"]}) == {"rows_in": 15}


def test_the_description_has_before_and_after_and_the_model() -> None:
    text = description(results(), headline(results()), stages=STAGES, overrides=["seed=2"])
    assert text.startswith("**ingest → serve** with `seed=2`")
    assert "| facts right of 6, 95 % interval | 25.0% (25.0% to 25.0%) | 25.0% (25.0% to 25.0%) |" in text
    assert "| held-out loss, s | 4.000 | 0.500 |" in text
    assert "- gate: passed" in text
    assert "- model: m version 3" in text
    assert "report.html" in text


def test_the_description_of_a_failed_run_says_why() -> None:
    text = description({}, {}, stages=("train",), failed="no gold")
    assert text.startswith("**train**\n\n**Failed**: no gold")
    assert "before" not in text
