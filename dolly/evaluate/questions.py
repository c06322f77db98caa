"""Held-out rows as questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dolly.prompts import Message
from dolly.schema import GOLD_EXAMPLES
from dolly.tables import Tables


@dataclass(frozen=True)
class Question:
    """A held-out row: the turns before its last answer, that answer, what it must contain.

    `prompt_ids` are the tokens before that answer, as they are in `gold_examples`.
    """

    example_id: str
    source: str
    messages: list[Message]
    reference: str
    expected: str
    prompt_ids: list[int]


def held_out_questions(tables: Tables, *, dataset: str, version: int, limit: int) -> list[Question]:
    """Held-out rows as questions, those with a checkable answer first; ids are hashes, so a fair sample.

    Args:
        tables: where the rows are.
        dataset: name of the config.
        version: version of `gold_examples`.
        limit: most questions.
    """
    columns = ["example_id", "part", "source", "split", "turns", "expected", "input_ids", "loss_mask"]
    table = tables.read_arrow(GOLD_EXAMPLES, version=version, columns=columns, scope=dataset)
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
    """Where the last run of tokens with loss begins."""
    start = len(loss_mask) - 1
    while start > 0 and not loss_mask[start]:
        start -= 1
    while start > 0 and loss_mask[start - 1]:
        start -= 1
    return start
