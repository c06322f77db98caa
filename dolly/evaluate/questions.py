"""Held-out rows as questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dolly.prompts import Message
from dolly.schema import GOLD_EXAMPLES
from dolly.tables import Tables


@dataclass(frozen=True)
class Question:
    """A held-out row: the turns before its last answer, that answer (`reference`), and the text that it must contain.

    `prompt_ids` are the tokens before that answer in `gold_examples`.
    """

    example_id: str
    source: str
    messages: list[Message]
    reference: str
    expected: str
    prompt_ids: list[int]


def held_out_questions(tables: Tables, *, dataset: str, version: int, limit: int) -> list[Question]:
    """Held-out rows as questions, first those with an expected text, then by id.

    Ids are hashes, so that the first rows are a fair sample.

    Args:
        tables: the tables to read.
        dataset: name of the config.
        version: version of `gold_examples`.
        limit: maximum number of questions.
    """
    columns = ["example_id", "part", "source", "split", "turns", "expected", "input_ids", "loss_mask"]
    table = tables.read_arrow(GOLD_EXAMPLES, version=version, columns=columns, scope=dataset)
    # If a conversation was split, only its first part is a question.
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
    """Index at which the last run of tokens with loss begins."""
    start = len(loss_mask) - 1
    while start > 0 and not loss_mask[start]:
        start -= 1
    while start > 0 and loss_mask[start - 1]:
        start -= 1
    return start
