"""The evaluate stage: before/after answers on held-out questions, and the gate's verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import track
from rich.table import Table as Printed

from dolly.card import ModelFiles
from dolly.errors import ModelError
from dolly.evaluate.evaluation import AskedQuestions, Evaluation, evaluation_of
from dolly.evaluate.metrics import contains_fact, wilson_interval
from dolly.evaluate.questions import Question
from dolly.result import StageResult
from dolly.schema import EVALUATIONS, GOLD_EXAMPLES
from dolly.train.lookup import Training, finished_training, prompt_of
from dolly.train.stage import summary

if TYPE_CHECKING:
    from dolly.engines.served import ServedModel
    from dolly.pipeline import Context

    Answer = Callable[..., list[str]]

_SHOWN = 8


def run(context: Context) -> StageResult:
    """Asks the base and the trained model the same held-out questions, unless their answers are stored.

    Raises:
        DataError: the training that the config names is not finished.
    """
    config = context.config
    training = finished_training(config, context.state, context.tables)
    with context.tracker.stage("evaluate") as stage:
        stage.input(GOLD_EXAMPLES, version=training.spec.gold_version, role="evaluate")
        asked = evaluation_of(config, context.state, context.tables, training)
        rows = _stored(context, asked.sha256)
        if not rows:
            rows = _answered(context, asked, training)
            rows = [row | {"evaluation": asked.sha256, "run_id": stage.run_id} for row in rows]
            context.tables.insert_new(EVALUATIONS, rows, scope=config.name, writer="dolly evaluate")
        losses, figures = training.result["losses"], _figures(rows)
        engine = rows[0]["engine"] if rows else "no question asked"
        evaluation = Evaluation(
            asked.sha256,
            asked.weights_sha256,
            engine,
            figures,
            losses.get("first", {}),
            losses.get("last", {}),
        )
        evaluation.write(training)
        reasons = evaluation.reasons(config.evaluate)
        verdict = "; ".join(reasons) or "passed"
        held_out = {key: value for key, value in summary(training.result).items() if key.startswith("loss_")}
        stage.metrics(figures | held_out | {"gate_passed": not reasons})
        ids = {"training": training.spec.sha256, "evaluation": evaluation.sha256, "gate": verdict}
        stage.tags(ids | {"engine": engine})
        shown = ("source", "question", "expected", "before", "after", "before_right", "after_right", "reference")
        stage.table("answers", {name: [row[name] for row in rows] for name in shown})
        _show(context, rows, figures, reasons)
        context.say(f"the trained model's answers are those of {engine}")
        return stage.result(ids=ids, paths={"weights": str(training.weights)})


def _stored(context: Context, evaluation: str) -> list[dict[str, Any]]:
    if not context.tables.exists(EVALUATIONS):
        return []
    rows = context.tables.read_arrow(EVALUATIONS, scope=context.config.name).to_pylist()
    return [row for row in rows if row["evaluation"] == evaluation]


def _answered(context: Context, asked: AskedQuestions, training: Training) -> list[dict[str, Any]]:
    """Rows of `evaluations` without the columns `evaluation` and `run_id`.

    The trained model answers through the engine that will serve it, so that what is judged is what people get.
    """
    from dolly.inference import ChatModel

    config = context.config
    # The engine first: on a GPU the base model's memory would stay with this process.
    with _trained(context, asked.weights_sha256, training.weights) as trained:
        engine, afters = trained.engine.name, _answers(context, trained.answers, asked.questions, "after")
    base = ChatModel.from_base(training.spec.base, prompt=prompt_of(config), dtype=config.model.dtype)
    befores = _answers(context, base.answers, asked.questions, "before")
    return [
        {
            "dataset": config.name,
            "example_id": question.example_id,
            "source": question.source,
            "engine": engine,
            "question": question.messages[-1]["content"],
            "reference": question.reference,
            "expected": question.expected,
            "before": before,
            "after": after,
            "before_right": contains_fact(before, question.expected) if question.expected else None,
            "after_right": contains_fact(after, question.expected) if question.expected else None,
        }
        for question, before, after in zip(asked.questions, befores, afters, strict=True)
    ]


@contextmanager
def _trained(context: Context, weights_sha256: str, weights: Path) -> Iterator[ServedModel]:
    """The trained model behind its engine, until the block ends."""
    from dolly.engines.base import EngineError
    from dolly.engines.served import open_model

    config = context.config
    model = ModelFiles(config.register_.name, "", {"weights_sha256": weights_sha256}, weights, weights)
    opened = open_model(model, config.serve, context.state.engines, context.say)
    try:
        yield opened
    except EngineError as error:
        raise ModelError(
            found=f"an engine that failed while it answered ({error})",
            expected="a model that fits into memory with its key-value cache",
            fix="end other programs, or set serve.cache_gib to less or serve.engine to transformers",
        ) from error
    finally:
        opened.engine.close()


def _answers(context: Context, answer: Answer, questions: Sequence[Question], name: str) -> list[str]:
    settings = context.config.evaluate
    # Sorted by length, so that batches need little padding.
    order = sorted(range(len(questions)), key=lambda i: len(questions[i].messages[-1]["content"]))
    answers = [""] * len(questions)
    batches = [order[i : i + settings.batch_size] for i in range(0, len(order), settings.batch_size)]
    for batch in track(batches, description=f"  {name}", console=context.console, transient=True):
        texts = answer([questions[i].messages for i in batch], max_new_tokens=settings.max_new_tokens)
        for i, text in zip(batch, texts, strict=True):
            answers[i] = text
    return answers


def _figures(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Counts, and the share of right answers before and after with its 95 % interval."""
    checked = [row for row in rows if row["expected"]]
    figures: dict[str, float] = {"questions": len(rows), "fact_questions": len(checked)}
    for moment in ("before", "after") if checked else ():
        right = sum(bool(row[f"{moment}_right"]) for row in checked)
        low, high = wilson_interval(right, len(checked))
        figures |= {
            f"fact_accuracy_{moment}": right / len(checked),
            f"fact_accuracy_{moment}_low": low,
            f"fact_accuracy_{moment}_high": high,
        }
    return figures


def _show(context: Context, rows: Sequence[dict[str, Any]], figures: dict[str, float], reasons: list[str]) -> None:
    table = Printed("question (held out)", "expected", "before", "after", show_lines=True)
    for row in rows[:_SHOWN]:
        mark = {True: " ✓", False: " ✗", None: ""}[row["after_right"]]
        cells = (row["question"], row["expected"], row["before"], row["after"])
        table.add_row(*[_short(cell) for cell in cells[:3]], _short(cells[3]) + mark)
    context.console.print(table)
    for moment in ("before", "after"):
        if f"fact_accuracy_{moment}" in figures:
            share, low, high = (figures[f"fact_accuracy_{moment}{end}"] for end in ("", "_low", "_high"))
            context.say(
                f"private facts, unseen wording, {moment}: {share:.1%} of {figures['fact_questions']:.0f} "
                f"(95 % interval {low:.1%} to {high:.1%})"
            )
    context.say("gate: " + ("passed" if not reasons else "not passed: " + "; ".join(reasons)))


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 120 else flat[:119] + "…"
