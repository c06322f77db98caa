"""The evaluate stage: before/after answers on held-out questions, and the gate's verdict."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import track
from rich.table import Table as Printed

from dolly.base_model import locate, weights_sha256
from dolly.evaluate.gate import gate
from dolly.evaluate.metrics import contains_fact, wilson_interval
from dolly.prompts import Message, Prompt
from dolly.schema import EVALUATIONS, GOLD_EXAMPLES
from dolly.train.stage import latest_training, summary

if TYPE_CHECKING:
    from dolly.pipeline import Context
    from dolly.result import StageResult

_SHOWN = 8


@dataclass(frozen=True)
class Question:
    """A held-out row: the turns before its last answer, that answer, what it must contain.

    `prompt_ids` are the tokens before that answer, as they stand in `gold_examples`.
    """

    example_id: str
    source: str
    messages: list[Message]
    reference: str
    expected: str
    prompt_ids: list[int]


def run(context: Context) -> StageResult:
    """Asks base and trained model the same held-out questions, unless that has been done."""
    config, folder = context.config, latest_training(context)
    result = json.loads((folder / "result.json").read_text())
    card = json.loads((folder / "final" / "dolly.json").read_text())
    with context.tracker.stage("evaluate") as stage:
        version = stage.input(GOLD_EXAMPLES, version=card["gold_version"], role="evaluate")
        questions = held_out_questions(context, version=version, limit=config.evaluate.max_questions)
        weights = weights_sha256(str(folder / "final"))
        settings = [weights, card["base_sha256"], config.evaluate.max_new_tokens, [q.example_id for q in questions]]
        evaluation = hashlib.sha256(json.dumps(settings).encode()).hexdigest()
        rows = _stored(context, evaluation)
        if not rows:
            rows = _asked(context, questions, folder / "final", evaluation=evaluation, run_id=stage.run_id)
            context.tables.insert_new(EVALUATIONS, rows, scope=config.name, writer="dolly evaluate")
        figures = _figures(rows)
        losses = result["losses"]
        reasons = gate(
            fact_accuracy=figures.get("fact_accuracy_after"),
            min_fact_accuracy=config.evaluate.min_fact_accuracy,
            losses_before=losses.get("first", {}),
            losses_after=losses.get("last", {}),
            max_loss_ratio=config.evaluate.max_loss_ratio,
        )
        held_out = {key: value for key, value in summary(result).items() if key.startswith("loss_")}
        stage.metrics(figures | held_out | {"gate_passed": not reasons})
        stage.tags({"evaluation": evaluation, "gate": "; ".join(reasons) or "passed"})
        shown = ("source", "question", "expected", "before", "after", "before_right", "after_right", "reference")
        stage.table("answers", {name: [row[name] for row in rows] for name in shown})
        verdict = {"evaluation": evaluation, "weights_sha256": weights, "reasons": reasons, "figures": figures}
        (folder / "evaluation.json").write_text(json.dumps(verdict, indent=1))
        _print(context, rows, figures, reasons)
        return stage.result(ids={"evaluation": evaluation})


def held_out_questions(context: Context, *, version: int, limit: int) -> list[Question]:
    """Held-out rows as questions, those with a checkable answer first; ids are hashes, so a fair sample."""
    columns = ["example_id", "part", "source", "split", "turns", "expected", "input_ids", "loss_mask"]
    table = context.tables.read_arrow(GOLD_EXAMPLES, version=version, columns=columns, scope=context.config.name)
    # Of a conversation that was split its first part is asked.
    rows = [row for row in table.to_pylist() if row["split"] == "eval" and row["part"] == 0]
    rows.sort(key=lambda row: (not row["expected"], row["example_id"]))
    return [
        Question(
            example_id=row["example_id"],
            source=row["source"],
            messages=row["turns"][:-1],
            reference=row["turns"][-1]["content"],
            expected=row["expected"] or "",
            prompt_ids=row["input_ids"][: _last_answer(row["loss_mask"])],
        )
        for row in rows[:limit]
    ]


def _last_answer(loss_mask: Sequence[bool]) -> int:
    """Where the last run of trained tokens begins."""
    start = len(loss_mask) - 1
    while start > 0 and not loss_mask[start]:
        start -= 1
    while start > 0 and loss_mask[start - 1]:
        start -= 1
    return start


def _stored(context: Context, evaluation: str) -> list[dict[str, Any]]:
    if not context.tables.exists(EVALUATIONS):
        return []
    rows = context.tables.read_arrow(EVALUATIONS, scope=context.config.name).to_pylist()
    return [row for row in rows if row["evaluation"] == evaluation]


def _asked(
    context: Context, questions: Sequence[Question], final: Path, *, evaluation: str, run_id: str
) -> list[dict[str, Any]]:
    from dolly.inference import ChatModel

    model = context.config.model
    base = locate(model.base, allow_network=context.config.allow_network)
    prompt = Prompt(model.prompt_format, model.system)
    loaders: dict[str, Callable[[], ChatModel]] = {
        "before": lambda: ChatModel.from_base(base, prompt=prompt, dtype=model.dtype),
        "after": lambda: ChatModel.from_trained(final, dtype=model.dtype),
    }
    answers = {name: _answers(context, load(), questions, name) for name, load in loaders.items()}
    return [
        {
            "dataset": context.config.name,
            "evaluation": evaluation,
            "example_id": question.example_id,
            "source": question.source,
            "run_id": run_id,
            "question": question.messages[-1]["content"],
            "reference": question.reference,
            "expected": question.expected,
            "before": before,
            "after": after,
            "before_right": contains_fact(before, question.expected) if question.expected else None,
            "after_right": contains_fact(after, question.expected) if question.expected else None,
        }
        for question, before, after in zip(questions, answers["before"], answers["after"], strict=True)
    ]


def _answers(context: Context, model: Any, questions: Sequence[Question], name: str) -> list[str]:
    settings = context.config.evaluate
    # Questions of like length together, so that little is padding.
    order = sorted(range(len(questions)), key=lambda i: len(questions[i].messages[-1]["content"]))
    answers = [""] * len(questions)
    batches = [order[i : i + settings.batch_size] for i in range(0, len(order), settings.batch_size)]
    for batch in track(batches, description=f"  {name}", console=context.console, transient=True):
        made = model.answers([questions[i].messages for i in batch], max_new_tokens=settings.max_new_tokens)
        for i, answer in zip(batch, made, strict=True):
            answers[i] = answer
    return answers


def _figures(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Counts, and for each moment the share of right answers with its 95 % interval."""
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


def _print(context: Context, rows: Sequence[dict[str, Any]], figures: dict[str, float], reasons: list[str]) -> None:
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
