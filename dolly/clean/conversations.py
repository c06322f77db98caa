"""A record of a chat export (ShareGPT) → clean turns: Markdown, and user and assistant in turn.

The rules began with what FastChat's `clean_sharegpt` does for Vicuna (Chiang et al. 2023). They differ
where that loses data: a conversation with one odd turn is mended, not dropped, and text that only
speaks of HTML or of the chat page's buttons stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from dolly.clean.chat_export import Turns, UnreadableHtml, from_html, without_page_labels

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame


class Cleaned(NamedTuple):
    """Clean `turns` and the `fixes` that changed them, or the `rule` that ends the row and what it found."""

    turns: Turns
    fixes: list[str]
    rule: str | None
    detail: str


RULES = {
    "unknown_role": "a turn's role is not system, user or assistant",
    "unreadable_html": "the export's HTML is broken or nested too deep",
    "no_complete_round": "no question that is followed by an answer",
}
_ROLES = ("system", "user", "assistant")
_SHOWN_ROLES = 5


def clean_turns(turns: Turns) -> Cleaned:
    """Cleans a conversation of `role` (system, user, assistant) and `content`; `turns` itself is not changed.

    No complete round is lost. If a rule rejects the row, its turns are returned unchanged.
    """
    unknown = {str(turn.get("role")) for turn in turns}.difference(_ROLES)
    if unknown:
        return Cleaned(turns, [], "unknown_role", ", ".join(sorted(unknown)))
    kept = [{"role": turn["role"], "content": turn.get("content") or ""} for turn in turns]
    # Texts are not quoted: they are masked later, and a part of one could not be.
    roles = _roles(kept)
    fixes = []
    for name, (step, _) in _STEPS.items():
        before = kept
        try:
            kept = step(before)
        except UnreadableHtml:
            return Cleaned(turns, [], "unreadable_html", roles)
        if kept != before:
            fixes.append(name)
    if any(turn["role"] == "assistant" for turn in kept):
        return Cleaned(kept, fixes, None, "")
    return Cleaned(turns, [], "no_complete_round", roles)


def _roles(turns: Turns) -> str:
    if not turns:
        return "no turns"
    shown = [turn["role"] for turn in turns[:_SHOWN_ROLES]] + ["…"] * (len(turns) > _SHOWN_ROLES)
    return f"{len(turns)} turn{'s' * (len(turns) > 1)}: {', '.join(shown)}"


def with_clean_turns(frame: DataFrame) -> DataFrame:
    """Cleans `turns`; adds or extends `fixes`, and `rule` and `detail` for a row that a rule ends.

    A row that has a rule already passes as it is; other columns pass through.
    """
    from pyspark.sql.types import ArrayType, StringType, StructField, StructType

    added = {"fixes": ArrayType(StringType()), "rule": StringType(), "detail": StringType()}
    new = [StructField(name, kind) for name, kind in added.items() if name not in frame.columns]
    return frame.mapInArrow(_clean_batches, StructType([*frame.schema.fields, *new]))


def _clean_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    for batch in batches:
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        none = pa.nulls(batch.num_rows)
        old = [columns.get(name, none).to_pylist() for name in ("turns", "fixes", "rule", "detail")]
        rows = [_clean_row(*row) for row in zip(*old, strict=True)]
        types = {"turns": columns["turns"].type, "fixes": pa.list_(pa.string())}
        for index, name in enumerate(("turns", "fixes", "rule", "detail")):
            columns[name] = pa.array([row[index] for row in rows], types.get(name, pa.string()))
        yield pa.RecordBatch.from_pydict(columns)


def _clean_row(turns: Turns | None, fixes: list[str] | None, rule: str | None, detail: str | None) -> tuple[Any, ...]:
    if rule is not None:
        return turns, fixes or [], rule, detail
    cleaned = clean_turns([turn or {} for turn in turns or []])
    return cleaned.turns, [*(fixes or []), *cleaned.fixes], cleaned.rule, cleaned.detail or detail


def _without_empty(turns: Turns) -> Turns:
    return [turn for turn in turns if turn["content"].strip("\u200b\ufeff \t\r\n\u00a0")]


def _without_leading_answers(turns: Turns) -> Turns:
    first = next((index for index, turn in enumerate(turns) if turn["role"] == "user"), len(turns))
    return [turn for index, turn in enumerate(turns) if index > first or turn["role"] != "assistant"]


def _without_late_system(turns: Turns) -> Turns:
    first = next((index for index, turn in enumerate(turns) if turn["role"] == "user"), len(turns))
    return [turn for index, turn in enumerate(turns) if index < first or turn["role"] != "system"]


def _merged(turns: Turns) -> Turns:
    merged: Turns = []
    for turn in turns:
        if merged and merged[-1]["role"] == turn["role"]:
            content = merged[-1]["content"].rstrip() + "\n\n" + turn["content"].lstrip("\r\n")
            merged[-1] = turn | {"content": content}
        else:
            merged.append(turn)
    return merged


def _without_unanswered(turns: Turns) -> Turns:
    return turns[:-1] if turns and turns[-1]["role"] == "user" else turns


_STEPS: dict[str, tuple[Callable[[Turns], Turns], str]] = {
    "html_to_markdown": (from_html, "HTML of the export became Markdown"),
    "page_labels_removed": (without_page_labels, "labels and buttons of the chat page were removed"),
    "empty_turn_removed": (_without_empty, "a turn without text was removed"),
    "leading_answer_removed": (_without_leading_answers, "an answer before the first question was removed"),
    "late_system_turn_removed": (_without_late_system, "a system turn after the first question was removed"),
    "turns_merged": (_merged, "turns of the same speaker in a row were joined"),
    "unanswered_question_removed": (_without_unanswered, "a question at the end without an answer was removed"),
}
FIXES = {name: reason for name, (_, reason) in _STEPS.items()}
