"""Applies the rules to conversations. Pure: frames in, frames out.

A row is a conversation: `context` (string, '' where there is none) and `turns`
(array of role and content, user first).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from dolly.clean.rules.kinds import Check, Fix

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    Test = Callable[[Column], Column]

_TEXTS = ("question", "instruction", "answer", "last_answer")


def with_fixes(frame: DataFrame, fixes: Sequence[Fix]) -> DataFrame:
    """Applies the fixes to `context` and `turns`; appends to `fixes` the names of those that changed the row."""
    from pyspark.sql import functions as F

    names = F.col("fixes") if "fixes" in frame.columns else F.array().cast("array<string>")
    # One expression for all fixes: a column for each would be a projection of the whole row each.
    before = F.struct(F.col("context").alias("context"), F.col("turns").alias("turns"), names.alias("fixes"))
    after = before
    for fix in fixes:
        after = _bound(after, _step(fix))
    state = F.when(_any_passes([fix.gate for fix in fixes]), after).otherwise(before)
    return (
        frame.withColumn("_state", state)
        .withColumns({name: F.col("_state")[name] for name in ("context", "turns", "fixes")})
        .drop("_state")
    )


def _any_passes(gates: Sequence[Test | None]) -> Column:
    """True where any text of the row passes any gate; a fix without one may change every row."""
    from pyspark.sql import functions as F

    def passes(text: Column) -> Column:
        return reduce(or_, [gate(text) if gate else F.lit(True) for gate in dict.fromkeys(gates)], F.lit(False))

    return F.exists(F.col("turns")["content"], passes) | passes(F.col("context"))


def _bound(value: Column, function: Callable[[Column], Column]) -> Column:
    """`function(value)`, where `value` is evaluated once however often the function uses it."""
    from pyspark.sql import functions as F

    return F.transform(F.array(value), function)[0]


def _step(fix: Fix) -> Callable[[Column], Column]:
    """The function from the texts and names before a fix to those after it, both as a struct."""
    from pyspark.sql import functions as F

    def fixed(turn: Column) -> Column:
        return F.struct(turn["role"].alias("role"), fix.apply(turn["content"]).alias("content"))

    def named(after: Column, before: Column) -> Column:
        changed = (after["context"] != before["context"]) | (after["turns"] != before["turns"])
        names = F.when(changed, F.array_append(before["fixes"], F.lit(fix.name))).otherwise(before["fixes"])
        return F.struct(after["context"].alias("context"), after["turns"].alias("turns"), names.alias("fixes"))

    def step(before: Column) -> Column:
        turns = before["turns"] if fix.only_context else F.transform(before["turns"], fixed)
        after = F.struct(fix.apply(before["context"]).alias("context"), turns.alias("turns"))
        return _bound(after, lambda after: named(after, before))

    return step


def with_texts(frame: DataFrame) -> DataFrame:
    """Adds the texts that checks look at, each a string, '' where there is none.

    - `question`: all that users say, then the context, parted by blank lines
    - `instruction`: the first that a user says
    - `answer`: all that the assistant says, parted by blank lines
    - `last_answer`: the last that the assistant says
    """
    from pyspark.sql import functions as F

    def said_by(role: str) -> Column:
        return F.filter("turns", lambda turn: turn["role"] == role)["content"]

    requested = F.array_join("_user", "\n\n")
    question = F.when(F.col("context") == "", requested).otherwise(F.concat(requested, F.lit("\n\n"), "context"))
    return (
        frame.withColumns({"_user": said_by("user"), "_assistant": said_by("assistant")})
        .withColumns(
            {
                "question": question,
                "instruction": F.coalesce(F.get("_user", F.lit(0)), F.lit("")),
                "answer": F.array_join("_assistant", "\n\n"),
                "last_answer": F.coalesce(F.try_element_at("_assistant", F.lit(-1)), F.lit("")),
            }
        )
        .drop("_user", "_assistant")
    )


def with_checks(frame: DataFrame, checks: Sequence[Check]) -> DataFrame:
    """Adds `rule` and `detail` of the first rejecting check, null for rows that none rejects, and `flags`.

    `flags` names all other checks that apply, in the order of `checks`. The columns of `with_texts`
    are derived where the frame has none, and left out again.
    """
    from pyspark.sql import functions as F

    added = [name for name in _TEXTS if name not in frame.columns]
    if added:
        frame = with_texts(frame)
    marks = {check.name: f"_{check.name}" for check in checks}
    frame = frame.withColumns({marks[check.name]: F.coalesce(check.applies, F.lit(False)) for check in checks})
    rejecting = [check for check in checks if check.severity == "reject"]
    nothing = F.lit(None).cast("string")
    rule = F.coalesce(*[F.when(F.col(marks[check.name]), F.lit(check.name)) for check in rejecting], nothing)
    detail = F.coalesce(
        *[F.when(F.col(marks[check.name]), F.coalesce(check.detail, F.lit(""))) for check in rejecting], nothing
    )
    applying = F.array(*[F.when(F.col(mark), F.lit(name)) for name, mark in marks.items()]).cast("array<string>")
    others = F.filter(applying, lambda name: name.isNotNull() & ~name.eqNullSafe(F.col("rule")))
    return frame.withColumns({"rule": rule, "detail": detail}).withColumn("flags", others).drop(*marks.values(), *added)
