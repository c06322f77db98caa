"""The cleaning rules, each a named Column expression: a fix changes a text, a rejection ends a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pyspark.sql import Column

TEXTS = ("instruction", "input", "output")

# What generated records write where there is no context, in any quoting and spelling.
_NO_INPUT = r"(?i)^[\W_]*(no[\W_]*input([\W_]*(required|needed|provided))?|n[\W_]*/[\W_]*a|none|nil|null|empty)[\W_]*$"
_CONTROL = r"[\x00-\x08\x0B\x0C\x0E-\x1F\x7F-\x9F\uFEFF]"
_EMAIL = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}"


class Fix(NamedTuple):
    """Changes the named texts; a row that it changes keeps the fix's name."""

    name: str
    fields: tuple[str, ...]
    apply: Callable[[Column], Column]


class Rejection(NamedTuple):
    """Ends a row for which `applies` is true."""

    name: str
    applies: Column
    detail: Column


def fixes(*, mask_emails: bool) -> list[Fix]:
    """The fixes in the order in which they are applied."""
    from pyspark.sql import functions as F

    rules = [
        Fix("line_endings", TEXTS, lambda text: F.regexp_replace(text, r"\r\n?", "\n")),
        Fix("control_characters", TEXTS, lambda text: F.regexp_replace(text, _CONTROL, "")),
        Fix("outer_whitespace", TEXTS, lambda text: F.regexp_replace(text, r"^[\s\u00A0]+|[\s\u00A0]+$", "")),
        Fix("no_input_marker", ("input",), lambda text: F.regexp_replace(text, _NO_INPUT, "")),
    ]
    if mask_emails:
        rules.append(Fix("email_masked", TEXTS, lambda text: F.regexp_replace(text, _EMAIL, "[email]")))
    return rules


def rejections(*, max_characters: int) -> list[Rejection]:
    """The rejections; the first that applies is the row's reason."""
    from pyspark.sql import functions as F

    length = F.length("instruction") + F.length("input") + F.length("output")
    return [
        Rejection("empty_instruction", F.col("instruction") == "", F.col("output")),
        Rejection("empty_output", F.col("output") == "", F.col("instruction")),
        Rejection("too_many_characters", length > max_characters, length.cast("string")),
    ]
